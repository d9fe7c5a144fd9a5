package parity

// Times are the rules for any two runs on identical fresh machines, whatever the strategy.
var Times = []Rule{
	{Why: "how long a command took, and when", Path: `(.*\.)?(start|end|delta|elapsed)`},
	{Why: "when a pause ended, and after how long", Task: `.*/ pause / .*`, Path: `stop|stdout(_lines\.0)?`, From: `.*`, To: `AT SOME TIME`},
	{Why: "when the lists of packages were read", Path: `(results\.\d+\.)?cache_update_time`},
	{Why: "how long it takes, and what sizes and digests archives with times in them have", Task: `.*/ pip / .*`, Path: `stdout(_lines\..*)?`},
	{Why: "how often a job was asked for", Task: `.* / (.* : job is waited for|finished.*) / .*`, Path: `(results\.\d+\.)?attempts`},
	{Why: "times of files", Path: `(.*\.)?(atime|ctime|mtime|stat\.version)`},
	{Why: "where a file lies on the disk", Path: `(.*\.)?(inode|dev|device_type|blocks)`},
	{Why: "names of temporary directories", From: `ansible-tmp-[0-9.]+-\d+-\d+`, To: `ansible-tmp`},
	{Why: "names of temporary directories", From: `ansible-local-\d+[0-9a-z_]+/(tmp|\.)[0-9a-z_]+`, To: `ansible-local`},
	{Why: "names of temporary files", From: `((?:^|[/ ."'])\.?(?:tmp|tour|ansible\.))[0-9a-zA-Z_]{6}(?:[0-9a-zA-Z_]{2})?\b`, To: `${1}RANDOM`}, // Python 2 has six letters
	{Why: "names of temporary directories", From: `ansible-moduletmp-[0-9.]+-[0-9a-zA-Z_]+`, To: `ansible-moduletmp`},
	{Why: "names of temporary files: that of what was downloaded, and random letters", From: `(ansible-moduletmp/404)[0-9a-zA-Z_]{6,8}\b`, To: `${1}RANDOM`},
	{Why: "names of temporary files", From: `ansible_[a-z_.]+_payload_[0-9a-zA-Z_]{6,8}`, To: `payload`},
	{Why: "names of temporary files", Path: `(results\.\d+\.)?invocation\.module_args\._original_basename`, From: `^\.[0-9a-z_]{8}$`, To: `RANDOM`},
	{Why: "what stands for omit is random in each run", From: `__omit_place_holder__[0-9a-f]{40}`, To: `omit`},
	{Why: "a process id", Path: `(.*\.)?child_pid`},
	{Why: "names of temporary files", From: `\bcrontab[0-9a-zA-Z_]{6,8}\b`, To: `crontabRANDOM`},
	{Why: "names of jobs: two counters and a process id", From: `\bj?\d{6,12}\.\d{1,9}\b`, To: `JOB`},
	{Why: "the same, as arguments have it", From: `\bj\d{6,12}\b`, To: `JOB`},
	{Why: "the same, in older releases", From: `(/async_wrapper\.py )\d{6,12}\b`, To: `${1}JOB`},
	{Why: "backups are named by pid and time", From: `\.\d+\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d~`, To: `.BACKUP~`},
	{Why: "port of the client", From: `(10\.99\.\d+\.\d+) \d{4,5}\b`, To: `$1 PORT`},
	{Why: "time of day", Path: `(.*\.)?ansible_date_time(\..*)?`},
	{Why: "load and memory of the machine under test", Path: `(.*\.)?ansible_(loadavg|memory_mb|memfree_mb|swapfree_mb|uptime_seconds|mounts|memory)(\..*)?`},
	{Why: "an interface has to find out first whether its own address is free", Path: `(.*\.)?ansible_(locally_reachable_ips\.ipv6|all_ipv6_addresses|eth0\.ipv6)(\..*)?`},
	{Why: "room on memory file systems", Path: `(.*\.)?mount_points\..*\.(block|inode|size)_.*`},
	{Why: "random", Path: `(.*\.)?ansible_(machine_id|hostnqn|ssh_host_key_.*|product_uuid)`},
	{Why: "hardware address of a virtual cable", From: `\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b`, To: `MAC`},
	{Why: "made from the hardware address", From: `\bfe80::[0-9a-f:]+`, To: `fe80::X`},
	{Why: "Ansible goes over a set of keys that it removes", Path: `(.*\.)?warnings`, Set: true},
	{Why: "made from a set", From: `Valid booleans include: .*`, To: `Valid booleans`},
	{Why: "made from a set of classes", From: `(supported package manager from the following list): \[[^\]]*\]`, To: `$1`},
	{Why: "made from a set of files", Task: `.*/ apt_repository / .*`, Path: `(results\.\d+\.)?diff`, Set: true},
	{Why: "made from a set of what several programs said", Task: `.*/ unarchive / failed`, Path: `msg`},
	{Why: "made from a set", Path: `(.*\.)?ansible_(virtualization_tech_(guest|host)|all_ipv[46]_addresses|interfaces)`, Set: true},
	{Why: "size of a directory on a memory file system", Task: `.*/ (stat|find|links and modes|directory|copy a tree|unpack.*) /.*`, Path: `(.*\.)?(size|nlink)`},
}

// Chosen are the rules for what Spindle does otherwise than the stock strategies, on purpose.
var Chosen = []Rule{
	{Doc: "Words of failed connections", Why: "each names its own connection's failure; the texts are tested by themselves", Task: `.*/ unreachable`, Path: `(results\.\d+\.)?msg`},
	{Doc: "Words of failed connections", Why: "the same, where 2.10 has an item of a loop fail by it, or a task waits for one", Task: `.*/ (item_failed|failed)`, Path: `(results\.\d+\.)?msg`, From: `(?s)^(Task failed: )?(timed out waiting for ping module test: )?(Failed to connect to the host via ssh: |Data could not be sent to remote host|ssh: ).*`, To: `${2}UNREACHABLE`},
	{Doc: "Words of failed connections", Why: "the same, in what is printed", Text: true, From: `^(\[ERROR\]: )?(Task failed: )?(Failed to connect to the host via ssh|Data could not be sent|ssh: |SSH |error occurred on host|Incorrect sudo|Missing sudo|.* is not in the sudoers file|nosuchuser@|Failed to get information on remote file \(/tmp/refused\)).*$|^sudo: error initializing audit plugin.*|^<<< caused by >>>$|^(\[ERROR\]: )?Task failed[.:] *(Action failed.*)?$|^Module result deserialization failed: .*`, To: ``},
	{Doc: "Words of failed connections", Why: "the same: what was received from a shell that found no program is on a line of its own", Text: true, From: `^/bin/sh: \d+: /no/such/\S+: not found$`, To: ``},
	{Doc: "Words of failed connections", Why: "the same, and become is a connection here", Task: `.*/ refused, .* / .*`, Path: `(results\.\d+\.)?(msg|module_std(out|err)|std(out|err)(_lines\..*)?)`},
	{Doc: "The farewell of ssh", Why: "what ssh prints when it closes a shared connection", From: `Shared connection to [^ ]+ closed\.\r?\n?`, To: ``},
	{Doc: "Temporary directories", Why: "temporary directories have another name, and lie in the home of the account that needs them", From: `(/[\w.-]+)+/(ansible-tmp|ansible_mitogen_action_[0-9a-f]{16}(-tmp-)?)`, To: `/TMP`},
	{Doc: "Temporary directories", Why: "the stock path without pipelining gives a module a directory; where it has none it makes one", Task: `.*/ get_url / .*`, Path: `(results\.\d+\.)?src`, From: `(/[\w.-]+)+/\.ansible/tmp/ansible-moduletmp[\w.-]*/`, To: `/TMP/`},
	{Doc: "Becoming an ordinary user", Why: "the stock path warns of a temporary directory that it had to make; the agent has made it before", Path: `(.*\.)?warnings`, From: `^Module remote_tmp .* did not exist and was created with a mode of 0700`, Gone: true},
	{Doc: "Becoming an ordinary user", Why: "the same", From: `^\[WARNING\]: Module remote_tmp .* did not exist and was created with a mode of 0700.*`, To: ``},
	{Doc: "Becoming an ordinary user", Why: "the same, of one that it may not enter; the agent has one that it may", Path: `(.*\.)?warnings`, From: `^Unable to use .* as temporary directory, fa(il|ll)ing back to system.*`, Gone: true},
	{Doc: "Becoming an ordinary user", Why: "the same", From: `^\[WARNING\]: Unable to use .* as temporary directory, fa(il|ll)ing back to system.*`, To: ``},
	{Doc: "Becoming an ordinary user", Why: "who may not enter the directory of the login account starts at home, and not in a temporary directory", Path: `stdout(_lines\.0)?`, From: `^(/home/\w+)/\.ansible/tmp/ansible-moduletmp\b`, To: `$1`},
	{Doc: "Becoming an ordinary user", Why: "2.10 copies by way of a file with ACLs, whose mask takes the place of the group's bits", Path: `(stat\.)?mode`, From: `^0604$`, To: `0644`},
	{Doc: "Becoming an ordinary user", Why: "the same", Path: `stdout(_lines\.0)?|msg\.0`, From: `^-rw----r--`, To: `-rw-r--r--`},
	{Doc: "Becoming an ordinary user", Why: "the same", Task: `web1 / stat / ok`, Path: `stat\.rgrp`},
	{Doc: "Passwords on a terminal", Why: "a sudo that asked for a password on the terminal ends its prompt with a line end", Task: `.*/ ((.* : )?(raw|script)( .*)?) / .*`, Path: `stdout`, From: `^\r\n`, To: ``},
	{Doc: "Passwords on a terminal", Why: "the same; standard output has it all", Task: `.*/ ((.* : )?(raw|script)( .*)?) / .*`, Path: `stdout_lines(\..*)?`},
	{Doc: "Terminals", Why: "raw has the line ends of a terminal, and no terminal", Task: `.*/ raw on a terminal / .*`, Path: `stdout(_lines\..*)?`},
	{Doc: "Terminals", Why: "jobs have none, either", Task: `.*/ gather_facts / .*`, Path: `(.*\.)?ansible_env\.(SSH_TTY|TERM)`},
	{Doc: "Terminals", Why: "modules have none, either", Task: `.*/ breaks down without pipelining / .*`, Path: `module_std(out|err)|exception`},
	{Doc: "Terminals", Why: "the same", Task: `.*/ looks for a terminal without pipelining / .*`, Path: `stdout(_lines\..*)?`},
	{Doc: "What goes the stock way", Why: "the one warning that says so", From: `^\[WARNING\]: Spindle: .*`, To: ``},
	{Doc: "Tracebacks", Why: "the stock path runs a zip file of this name", From: `(?s)Traceback \(.*\n([\w.]*(?:[Ee]rror|Exception)(?:: |\n))`, To: `Traceback ${1}`},
	{Doc: "Tracebacks", Why: "the same, in a warning that names the file", From: `(/tmp/payload/ansible_[\w.]+_payload|/nonexistent/ansible_payload)\.zip`, To: `payload.zip`},
	{Doc: "Killed modules", Why: "the shell that the stock path starts a module from says that it was ended", Path: `(.*\.)?module_stderr`, From: `^(Terminated|Killed)\n$`, To: ``},
	{Doc: "The environment of modules", Why: "the shell that the stock path starts a module from", Path: `(.*\.)?ansible_env\.(_|SHLVL|SUDO_COMMAND)`},
	{Doc: "Strategies that are not Ansible's own", Why: "ansible-core 2.19 and later say that strategies of others have no guarantee", From: `(?s)^\[DEPRECATION WARNING\]: Use of strategy plugins not included in ansible\.builtin.*`, To: ``},
	{Doc: "Strategies that are not Ansible's own", Why: "the same: said once, behind the first of such warnings", From: `^\[WARNING\]: Deprecation warnings can be disabled by setting .*`, To: ``},
	{Doc: "The environment of modules", Why: "sudo has a terminal of its own, so that it may insist on one; newer releases tell", Path: `(.*\.)?ansible_env\.SUDO_TTY`},
}

// All is both lists.
func All() []Rule { return append(append([]Rule{}, Times...), Chosen...) }

// FileRule says that something of a file may differ after a run, and why.
type FileRule struct {
	Why  string
	Path string // regular expression on the whole path
	Keep bool   // that it is there counts, with its kind, mode and owners; "" is dropped altogether
	Mode bool   // its mode may differ, and its time
	Doc  string // the heading of docs/differences.md, where Spindle does it otherwise; "" where any two runs differ
}

// Files are the rules for the file systems of the machines.
var Files = []FileRule{
	{Why: "logs", Path: `/var/log(/.*)?`},
	{Why: "times in the states of sudo, apt and dpkg", Path: `/var/lib/(sudo|apt|dpkg)(/.*)?|/var/cache/.*`},
	{Why: "made by the daemons of the machine", Path: `/run/.*`},
	{Why: "keys of the machine", Path: `/etc/ssh/.*|(/home/[^/]+|/root)/\.ssh(/.*)?`},
	{Doc: "Temporary directories", Why: "what the stock path cannot remove when it has become an ordinary user", Path: `(/var)?/tmp/ansible-tmp-[^/]*(/.*)?`},
	{Doc: "Temporary directories", Why: "a directory that was made to hold temporary ones goes with them", Path: `/tmp/own-web[12]`},
	{Doc: "Files of Spindle's own", Why: "the strategies keep their sockets and temporary directories there", Path: `(/home/[^/]+|/root)/\.ansible(/.*)?`},
	{Why: "a job's file has times, and the name of a process", Path: `.*/\.ansible_async/.*|.*/j?\d{6,12}\.\d+`, Keep: true},
	{Doc: "Temporary directories", Why: "what the stock path leaves when a module is killed; Spindle cleans up", Path: `(/var)?/tmp/ansible_[^/]*_payload_[^/]*(/.*)?`},
	{Why: "has times in it, and paths", Path: `.*/(AnsiballZ_\w+|async_wrapper)\.py`, Keep: true},
	{Why: "Python 2 writes down when its source was", Path: `/home/.*\.pyc`, Keep: true},
	{Why: "the time of day is in it", Path: `/var/spool/cron/.*|.*/\.gnupg/.*|.*/virtualenv/.*/RECORD`, Keep: true},
	{Why: "of the test itself", Path: `/home/ops/(record\.jsonl|play/ansible\.cfg)|/usr/local/bin/spindle`},
	{Doc: "Files of Spindle's own", Why: "Spindle's plugins, and what Python makes of them", Path: `/home/ops/(\.local|\.cache)(/.*)?|.*/__pycache__(/.*)?`},
	{Why: "backups of passwd and the like, with the date of the day", Path: `/etc/(passwd|shadow|group|gshadow|subuid|subgid)-`},
	{Why: "the date of the day is in it", Path: `/etc/shadow`, Keep: true},
	{Doc: "Becoming an ordinary user", Why: "2.10 copies by way of a file with ACLs, whose mask takes the place of the group's bits", Path: `/home/app/(from-root|of-app)`, Mode: true},
	{Doc: "Copies made by fetch", Why: "the copy that fetch makes has the mode of the original, as Mitogen's has", Path: `.*/fetched/.*`, Mode: true},
}
