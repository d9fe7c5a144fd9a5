// Package target makes a throw-away SSH target on loopback for one run of a benchmark or of the demonstration.
//
// A Target owns a directory with its own host key, client key and known_hosts; no file, key, agent or service of the user or the
// system takes part. It prefers the machine's sshd, started once per connection with settings of its own (`sshd -i`, as inetd would),
// so that there is no daemon which could be left behind. Where there is no sshd, package sshtarget serves.
//
// Several addresses of 127.0.0.0/8 may be served at once; they are the same machine under different names, which is what twenty inventory
// hosts on one computer can be.
//
// With Options.Root, Spawn makes a machine instead: a process tree in namespaces of its own over a Debian root, kept in memory, with accounts, sshd
// on port 22, and as many addresses as are wanted. SpawnLine lays a line to it. Both need root, and end with the program that started them. With
// Options.Containers, docker and that many containers run on the machine; their control groups, which the kernel does not remove with it, are
// kept by one more process of this program, which outlives it for that even where it was killed.
//
// Close ends every connection, reaps every process and returns; the directory belongs to the caller.
package target
