// Package playbooks holds the playbooks that the benchmarks and the demonstration run.
//
// They use nothing but ansible.builtin, so that ansible-core alone runs them, and write only below the variable `playground`, which
// the inventory sets to a directory that is thrown away.
//
//   - demo.yml: the demonstration's, a little of everything;
//   - loop.yml: one command task that loops over 100 items;
//   - tasks.yml: made by Tasks, 100 command tasks one after another;
//   - copy.yml: one large file;
//   - hosts.yml: made by Tasks too, 20 tasks for every host;
//   - empty.yml: no task at all, which is what start-up costs;
//   - tree/tree.yml: a tree of empty files, with a small filetree lookup of our own, which is kept away from the others: Spindle lets no hosts share
//     a worker where a directory beside the playbook holds plugins;
//   - baseline.yml: made by Baseline, 246 tasks of many modules, for a machine that is thrown away;
//   - deploy.yml: the deployment of an application in 23 steps;
//   - facts.yml, become.yml, fetch.yml, idle.yml: what their names say.
//
// Files travel inside the program that uses them (Write lays them out), so that it runs from any directory.
package playbooks
