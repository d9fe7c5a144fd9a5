// Package parity compares what two strategies made of one playbook.
//
// The record callback (tests/playbooks/callback_plugins/record.py) writes every result of every host, task and item as a
// line of JSON. [Parse] reads them; [Compare] aligns two runs host by host, result by result, and compares them key by
// key. A run is equal to another when every host has the same results in the same order with the same values. [Announced] compares the tasks that
// begin and what else no host is told by.
//
// Two runs of the same strategy differ in what nobody can promise: times, process ids, temporary names, ports, random numbers, the
// load of the machine. The [Rules] name these, each with its reason. A rule either drops a key by its path, or rewrites a part of a
// string to a fixed word, so that the rest of the string still counts. There are rules for what any two runs may differ in
// ([Times]), and a second, short list of what Spindle does differently on purpose ([Chosen]). Whatever is in neither list is a failure.
//
// [Printed] and [Said] compare what was printed, [Files] are the rules for file systems. A [Playbook] says in comments how it wants to be run,
// [Batches] are the runs that the playbooks of a theme need, and a [Report] shows the differences of one.
//
// How the rules are tested: the stock strategy is compared with itself on fresh machines, which shows that [Times] is
// complete; unit tests change one value each and show that the comparison notices.
package parity
