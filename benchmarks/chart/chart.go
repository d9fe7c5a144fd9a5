package chart

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Lane is the course of one contender's run, in parts of one length.
type Lane struct {
	Title            string
	Bin              time.Duration
	Up, Down, Events []int64 // bytes, bytes, packets in each part
}

const (
	width  = 24 * vg.Centimeter
	height = 5 * vg.Centimeter // of a lane
)

var (
	blue  = color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff}
	amber = color.RGBA{R: 0xd9, G: 0x8c, B: 0x1a, A: 0xff}
	ink   = color.RGBA{R: 0x33, G: 0x33, B: 0x33, A: 0xff}
)

// Write draws the lanes into an SVG file.
func Write(path, title string, lanes []Lane) error {
	canvas := vgsvg.New(width, height*vg.Length(len(lanes)))
	tiles := draw.Tiles{Rows: len(lanes), Cols: 1, PadX: vg.Millimeter, PadY: 2 * vg.Millimeter, PadRight: 4 * vg.Millimeter, PadTop: 2 * vg.Millimeter}
	var plots [][]*plot.Plot
	end := 0.0
	for _, lane := range lanes {
		end = max(end, lane.seconds())
	}
	for i, lane := range lanes {
		p, err := lane.plot(end)
		if err != nil {
			return err
		}
		if i == 0 {
			p.Title.Text = title + "\n" + p.Title.Text
		}
		if i == len(lanes)-1 {
			p.X.Label.Text = "seconds"
		}
		plots = append(plots, []*plot.Plot{p})
	}
	for i, canvases := range plot.Align(plots, tiles, draw.New(canvas)) {
		plots[i][0].Draw(canvases[0])
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(file); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// seconds is how long the run took.
func (l Lane) seconds() float64 { return l.Bin.Seconds() * float64(len(l.Up)) }

func (l Lane) plot(end float64) (*plot.Plot, error) {
	p := plot.New()
	var up, down, events int64
	var above, below, ticks plotter.XYs
	for i := range l.Up {
		at := (float64(i) + 0.5) * l.Bin.Seconds()
		up, down, events = up+l.Up[i], down+l.Down[i], events+l.Events[i]
		if l.Up[i] > 0 {
			above = append(above, plotter.XY{X: at, Y: magnitude(l.Up[i])})
		}
		if l.Down[i] > 0 {
			below = append(below, plotter.XY{X: at, Y: -magnitude(l.Down[i])})
		}
		if l.Events[i] > 0 {
			ticks = append(ticks, plotter.XY{X: at, Y: 0.3})
		}
	}
	p.Title.Text = fmt.Sprintf("%s: %.1f s, %s to the target, %s back, %d packets with data", l.Title, l.seconds(), size(up), size(down), events)
	p.Title.TextStyle.Font.Size = 9
	p.X.Min, p.X.Max = 0, end
	p.Y.Min, p.Y.Max = -7.5, 7.5
	p.Y.Tick.Marker = plot.ConstantTicks{
		{Value: -6, Label: "1 MB"}, {Value: -3, Label: "1 kB"}, {Value: 0, Label: ""}, {Value: 3, Label: "1 kB"}, {Value: 6, Label: "1 MB"},
	}
	for _, one := range []struct {
		points plotter.XYs
		color  color.Color
	}{{above, blue}, {below, amber}, {ticks, ink}} {
		// One path up and down again for all bars: a path for each would make large files.
		var bars plotter.XYs
		for _, point := range one.points {
			bars = append(bars, plotter.XY{X: point.X}, point, plotter.XY{X: point.X})
		}
		if len(bars) == 0 {
			continue
		}
		line, err := plotter.NewLine(bars)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = one.color, vg.Points(1.2)
		p.Add(line)
	}
	return p, nil
}

// magnitude makes bytes of very different numbers visible beside each other.
func magnitude(n int64) float64 { return math.Log10(1 + float64(n)) }

func size(n int64) string {
	switch {
	case n >= 10e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
}
