//! What stands below the options in `--help` and in the manual.

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  tcpguard run --iface eth0                  guard eth0, show a live table
  tcpguard run --iface eth0 --observe        count what would be dropped, drop nothing
  tcpguard run --iface eth0 --json           one JSON object an interval
  tcpguard run --config /etc/tcpguard.toml --metrics 127.0.0.1:9640

When segments are objected to so fast that somebody should know, a line on stderr begins with `alarm:`
and says what it looks like; the table [alert] of the file says from which rate on.

SIGINT, SIGTERM, and SIGHUP, which comes when a terminal goes away, end it and take the guard off. But with
--config and without a terminal, as a service, SIGHUP makes it read its file again, as `tcpguard reload` does
with a guard of `attach`: what is said there of policy holds from the next frame on, connections and
counters stay, and if anything is wrong nothing changes. Options go before the file still; learn, interval,
output, metrics and alert are for the start. The file and its lists must be its user's to read.
Once it guards, it gives up its capabilities, and can get none again. With --config it keeps those that
loading programs takes, in force only while it does so.

On an interface that `tcpguard attach` guards, it watches that guard, and leaves it at work. With --watch
it does nothing else, and of the file takes only what is said there of interfaces and readings:
  tcpguard run --watch --plain --config /etc/tcpguard.toml";

pub(super) const ATTACH_HELP: &str = "\
The programs stay until `tcpguard detach`, the end of the network namespace or a restart: what holds
them is a file for each in /sys/fs/bpf/tcpguard. `tcpguard run` on the same interface watches them,
`tcpguard stats` tells what they have counted, `tcpguard conns` lists their connections.

Examples:
  tcpguard attach --iface eth0
  tcpguard attach --iface wan0 --iface lan0 --observe
  tcpguard attach --iface default            whatever the default routes lead to

With --or-reload it can be run again, as by whatever keeps a fleet alike: a guard of the same interfaces
takes over programs and file as by `tcpguard reload`, whose help says what of the file that is, and with a
file that is wrong it stays as it is. That takes CAP_SYS_ADMIN.
  tcpguard attach --or-reload --config /etc/tcpguard.toml";

pub(super) const DETACH_HELP: &str = "\
Connections go on, unguarded. A guard that `tcpguard run` has attached ends with its process.

Examples:
  tcpguard detach                            every interface of this network namespace
  tcpguard detach --iface eth0
  tcpguard detach --all                      in other network namespaces as well
  tcpguard detach --foreign --iface eth0     an XDP program that another tool has left there";

pub(super) const RELOAD_HELP: &str = "\
Counters and connections stay: each hook changes from one policy to the other between two frames. If
anything is wrong with the file, or it says what only another guard could be (iface, mode, max-conns,
ingress-only), nothing changes. learn, interval, output, metrics and alert are for the start, and passed
over.
A file is the whole of it: a list or a rule that it does not name is gone. Without a file, what no option
names stays.

With --confirm the command waits, and what it has changed has its former programs again unless Enter is
pressed, or SIGUSR1 sent to it, in time: what cuts off its own operator heals by itself. SIGINT, SIGTERM,
SIGHUP, SIGQUIT, SIGALRM and SIGUSR2 take the change back at once; SIGKILL leaves it as it is. Nothing
else is changed meanwhile.

Examples:
  tcpguard reload --config /etc/tcpguard.toml
  tcpguard reload --config /etc/tcpguard.toml --confirm 60s
  tcpguard reload --iface eth0 --observe     stop dropping, go on counting
  tcpguard reload --denied blocklist.txt --inbound ports=22,443
  tcpguard reload --syn-limit-source 50      no source opens more than 50 connections a second

Exit status: 0 changed, 1 not confirmed (taken back, or left to who changed it since), 2 error.";

pub(super) const UPGRADE_HELP: &str = "\
Configuration, counters and connections stay as they are: the new programs work on the old maps, and
each hook changes from one program to the other between two frames. A guard of a release that keeps
its connections otherwise is refused, and stays.

Examples:
  tcpguard upgrade                           every guard of this network namespace
  tcpguard upgrade --iface eth0";

pub(super) const STATUS_HELP: &str = "\
held by says what keeps a guard attached: `attach`, and it stays until `detach`, or a process, such as
`run`, with which it ends. A dead pin is what a deleted interface or a killed `attach` has left;
`tcpguard detach` removes it.

Keys of --json, in this order (egress is null where nothing sees what leaves, release and config of a
guard that another version of tcpguard has made):
  guards[]{interface held_by since ingress{mode program tag} egress{mode program tag} release
  config{drop[] max_conns learn_s transit ingress_only inbound syn_limit syn_limit_source
  syn_limit_prefix[] syn_cookies prefixes}} dead_pins[]";

pub(super) const STATS_HELP: &str = "\
Totals are those since the guard was attached. The keys of --json are those of `tcpguard run --json`.

Examples:
  tcpguard stats                             of every guard of this network namespace, once
  tcpguard stats --iface eth0 --json
  tcpguard stats --interval 10s              a line every ten seconds";

pub(super) const CONNS_HELP: &str = "\
Each line is one connection as the guard has seen it: who opened it > to whom; its state;
time since it was first and last heard; octets of payload each way; who closed it (orig,
reply, or - for nobody); of either side the next sequence number and the highest
acknowledgment, counted from the SYN; and marks:
  adopted                      taken over in its middle, so octets count from there
  loose                        its numbers were re-anchored, and prove little since
  orig-local, reply-local      this side is this host, or behind it
  orig-unheard, reply-unheard  nothing was seen of this side yet
A terminal that is too narrow gets fewer columns, a pipe gets all.

Keys of --json, in this order (seq and ack are null where they are not known):
  source destination state age_s idle_s closed_by orig{octets seq ack}
  reply{octets seq ack} marks[] interfaces[]

Examples:
  tcpguard conns --state ESTABLISHED --port 443
  tcpguard conns --addr 203.0.113.0/24 --json
  nsenter --net=/run/netns/web tcpguard conns --limit 20";

pub(super) const TOP_HELP: &str = "\
Talkers are addresses by the octets of payload that their connections have moved in that time, sent and
received; this host itself is left out where its own segments are seen. Offenders are the sources of what
is objected to. The guard keeps a sample of that, among which what was counted is shared out, so their
numbers are estimates; sources may be forged.

Keys of --json, in this order:
  ts interval_s talkers[]{address connections octets_per_s sent_per_s received_per_s}
  offenders[]{source dropped_per_s would_drop_per_s reason}

Examples:
  tcpguard top
  tcpguard top --interval 10s --limit 3 --json";

pub(super) const EVENTS_HELP: &str = "\
A guard keeps the last 16 frames of each reason on each CPU, and of a flood 16 in a quarter of a second: a
sample, in which nothing pushes out what has another reason. `after 120 alike` at the end of a line says
that so many with the same verdict were counted in between and not kept; of the first, since the guard was
attached. state is that of the connection before the segment, - where there was none.

Keys of --json, in this order (conn is - and numbers are 0 where the frame is too short for them):
  ts interface hook verdict reason conn dir flags seq ack len state octets skipped

Examples:
  tcpguard events --limit 20
  tcpguard events --follow --reason flags,rst-out-of-window
  tcpguard events --iface eth0 --json";

pub(super) const CAPTURE_HELP: &str = "\
First comes what a guard has kept already, then what it objects to from then on, until Ctrl-C: a sample, of
which `tcpguard events` says more. Of each frame the first 216 octets are there. Its comment says the
reason, so Wireshark finds some by
  frame.comment contains \"flags-null\"
and it says which way the frame went, and how many alike before it were not kept. The file has its name
once it is whole; what a failed capture has until then stays in FILE.part.

Examples:
  tcpguard capture -w drops.pcapng --duration 1m
  tcpguard capture -w drops.pcapng --reason flags --count 100
  tcpguard capture -w - | wireshark -k -i -";

pub(super) const EXPLAIN_EXAMPLES: &str = "\
Examples:
  tcpguard explain SYN,FIN
  tcpguard explain RST --state established
  tcpguard explain SYN,ACK --state none";

pub(super) const REPLAY_EXAMPLES: &str = "\
Examples:
  tcpguard replay suspicious.pcap
  tcpguard replay suspicious.pcapng --engine kernel --json
  tcpguard replay middle.pcap --pickup always    the capture began in the middle of connections

A segment without a connection is dropped as no-connection. With --pickup always the first that is
seen of a connection is taken at its word instead, as by a guard that learns; a reset just passes.
`tcpguard trace FILE` shows one connection of a capture with its numbers.

Exit status: 0 nothing dropped, 1 something dropped, 2 error.";

pub(super) const TRACE_EXAMPLES: &str = "\
Examples:
  tcpguard trace download.pcap               its connection, or a list if there are several
  tcpguard trace busy.pcap 3
  tcpguard trace busy.pcap '10.0.0.1:1025>10.0.0.2:80'

seq and ack are counted from each side's SYN, and stand beside that as they were sent. len is the
payload, next the acknowledgment that the other side has to send once it has everything, state the
connection's after the segment. Then follow, of a segment that is not accepted, verdict and reason,
and where the numbers do not add up, a mark:
  gap 100             100 octets before it were not seen; fills-gap: it brings some of them
  retransmission      it was sent before; overlap 100: its first 100 octets were
  keep-alive          the octet before the next one; seq-behind: empty, with a number from before
  beyond-fin          octets behind the FIN of its own side
  ack-of-unsent 100   it acknowledges 100 octets more than were sent
  ack-behind 100      it acknowledges 100 octets less than before
  inexact             a reset with another number than the one that comes next
  other-isn           a SYN with another number than the one before; reopened: of a new connection
`100 in flight` is no mark: so many octets of the other side are not acknowledged yet.

Exit status: 0 nothing dropped in what is shown, 1 something dropped, 2 error.";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  tcpguard completions bash > /usr/share/bash-completion/completions/tcpguard
  tcpguard completions zsh > /usr/share/zsh/site-functions/_tcpguard
  tcpguard completions fish > /usr/share/fish/vendor_completions.d/tcpguard.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  tcpguard man | man -l -                    the page of tcpguard itself
  tcpguard man run | man -l -                that of a command
  tcpguard man --dir /usr/local/share/man/man1";
