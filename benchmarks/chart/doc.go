// Package chart draws what crossed the network over the time of a run, as an SVG that a page of documentation shows.
//
// A chart has a Lane for each contender, one above the other on one time axis, so that a glance tells who waits and who works: bytes to
// the target go upwards from the lane's middle, bytes from it downwards, and a tick in the middle stands for each moment in which packets
// carried data. The scale of bytes is logarithmic, because a contender that sends a hundred times as much would leave nothing to
// see of the others.
//
// The caller cuts the time of a run into parts of one length and counts; a Lane is just those numbers. They are in the JSON file of a
// comparison too, so that charts can be drawn again without running anything.
//
// Write is all there is.
package chart
