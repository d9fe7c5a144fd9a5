package parity

// Times are the rules for any two runs on identical fresh machines, whatever the strategy.
var Times = []Rule{
	{Why: "how long a command took, and when", Path: `(.*\.)?(start|end|delta|elapsed)`},
	{Why: "how often a job was asked for", Task: `.* : job is waited for / .*`, Path: `attempts`},
	{Why: "times of files", Path: `(.*\.)?(atime|ctime|mtime|stat\.version)`},
	{Why: "where a file lies on the disk", Path: `(.*\.)?(inode|dev|device_type|blocks)`},
	{Why: "names of temporary directories", From: `ansible-tmp-[0-9.]+-\d+-\d+`, To: `ansible-tmp`},
	{Why: "names of temporary directories", From: `ansible-local-\d+[0-9a-z_]+/tmp[0-9a-z_]+`, To: `ansible-local`},
	{Why: "names of temporary files", From: `((?:^|[/ ."'])\.?(?:tmp|tour|ansible\.))[0-9a-zA-Z_]{8}\b`, To: `${1}RANDOM`},
	{Why: "names of temporary directories", From: `ansible-moduletmp-[0-9.]+-[0-9a-z_]+`, To: `ansible-moduletmp`},
	{Why: "names of temporary files", From: `ansible_[a-z_.]+_payload_[0-9a-z_]{8}`, To: `payload`},
	{Why: "names of temporary files", Path: `invocation\.module_args\._original_basename`, From: `^\.[0-9a-z_]{8}$`, To: `RANDOM`},
	{Why: "names of jobs: two counters and a process id", From: `\bj?\d{6,12}\.\d{1,9}\b`, To: `JOB`},
	{Why: "backups are named by pid and time", From: `\.\d+\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d~`, To: `.BACKUP~`},
	{Why: "port of the client", From: `(10\.99\.\d+\.\d+) \d{4,5}\b`, To: `$1 PORT`},
	{Why: "time of day", Path: `(.*\.)?ansible_date_time(\..*)?`},
	{Why: "load and memory of the machine under test", Path: `(.*\.)?ansible_(loadavg|memory_mb|memfree_mb|swapfree_mb|uptime_seconds|mounts|memory)(\..*)?`},
	{Why: "random", Path: `(.*\.)?ansible_(machine_id|hostnqn|ssh_host_key_.*|product_uuid)`},
	{Why: "hardware address of a virtual cable", From: `\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b`, To: `MAC`},
	{Why: "made from the hardware address", From: `\bfe80::[0-9a-f:]+`, To: `fe80::X`},
	{Why: "made from a set", Path: `(.*\.)?ansible_(virtualization_tech_(guest|host)|all_ipv[46]_addresses|interfaces)`, Set: true},
	{Why: "size of a directory on a memory file system", Task: `.*/ (stat|find|links and modes|directory|copy a tree|unpack.*) /.*`, Path: `(.*\.)?(size|nlink)`},
}

// Chosen are the rules for what Spindle does otherwise than the stock strategies, on purpose.
var Chosen = []Rule{
	{Why: "each names its own connection's failure; the texts are tested by themselves", Task: `.*/ unreachable`, Path: `msg`},
	{Why: "what ssh prints when it closes a shared connection", From: `Shared connection to [^ ]+ closed\.\r?\n?`, To: ``},
	{Why: "temporary directories have another name, and lie in the home of the account that needs them", From: `/(home/\w+|root)/\.ansible/tmp/(ansible-tmp|ansible_mitogen_action_[0-9a-f]{16})\b`, To: `/TMP`},
	{Why: "the stock path warns of a temporary directory that it had to make; the agent has made it before", Task: `.* : become another ordinary user /.*`, Path: `warnings(\..*)?`},
	{Why: "a sudo that asked for a password on the terminal ends its prompt with a line end", Task: `.* : (raw as root|script as root, in another interpreter) /.*`, Path: `stdout`, From: `^\r\n`, To: ``},
	{Why: "the same", Task: `.* : (raw as root|script as root, in another interpreter) /.*`, Path: `stdout_lines\..*`},
	{Why: "the stock path runs a zip file of this name", From: `(?s)Traceback.*?(\w+(?:Error|Exception): )`, To: `Traceback ${1}`},
	{Why: "the shell that the stock path starts a module from", Path: `(.*\.)?ansible_env\.(_|SHLVL|SUDO_COMMAND)`},
	{Why: "sudo has a terminal of its own, so that it may insist on one; newer releases tell", Path: `(.*\.)?ansible_env\.SUDO_TTY`},
}

// All is both lists.
func All() []Rule { return append(append([]Rule{}, Times...), Chosen...) }
