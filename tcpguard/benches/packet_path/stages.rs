//! What is measured, in stages: the paths of one take turns in every round.

use anyhow::{Result, ensure};
use aya::Ebpf;
use tcpguard::clock;
use tcpguard_common::{
    abi::{Config, INGRESS_PROGRAM},
    craft::TcpFrame,
    flags::TcpFlags,
    wire::ethernet::{SERVICE_VLAN, VLAN},
};

use crate::{
    Args,
    tracked::{
        handshake::{SYN_ACK, establish, handshake},
        objects,
        path::{DROP, PASS, Path, Rivals},
        shuffle::Shuffle,
    },
};

/// A part of the benchmark.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Args) -> Result<Vec<Path>>,
}

/// The stage that is drawn.
pub(crate) const BY_CHANCE: &str = "established, connections by chance";

/// All of them.
pub(crate) const ALL: [Stage; 4] = [
    Stage {
        name: "by what stands in the segment alone",
        run: stateless,
    },
    Stage {
        name: "established, one connection",
        run: one_flow,
    },
    Stage {
        name: BY_CHANCE,
        run: many_flows,
    },
    Stage {
        name: "turns, another connection each time",
        run: turns,
    },
];

/// IP protocol number of UDP.
const UDP: u8 = 17;
/// `EtherType` of ARP, as it lies in the frame.
const ARP: [u8; 2] = [0x08, 0x06];

/// Connections that random ones are taken of.
pub(crate) const FLOWS: [(&str, u32); 4] = [
    ("1", 1),
    ("1 Ki", 1 << 10),
    ("128 Ki", 1 << 17),
    ("1 Mi", 1 << 20),
];
const MOST_FLOWS: u32 = FLOWS[FLOWS.len() - 1].1;

/// Both trackers that the same connections are established in.
const RIVALS: [&str; 2] = ["shuffled_guard", "shuffled_hash"];

/// New connections of a round, few enough that the table holds those of all rounds.
const NEW_FLOWS: u32 = 1 << 14;

const FIN_ACK: TcpFlags = TcpFlags::FIN.with(TcpFlags::ACK);

fn bare_drop(name: &str) -> Path {
    let ack = TcpFrame::ipv4().with_flags(TcpFlags::ACK);
    Path::new(name, "bare_drop", ack.build(), DROP)
}

fn stateless(args: &Args) -> Result<Vec<Path>> {
    let config = Config {
        evidence: 1,
        per_jiffy: clock::per_jiffy(),
        ..Config::DEFAULT
    };
    let guard = objects::guard(&config)?;
    let baseline = objects::baseline(&config, [1, 1])?;
    let mut paths = stateless_paths();
    take_turns(&mut paths, [&guard, &baseline], args)?;
    Ok(paths)
}

fn stateless_paths() -> Vec<Path> {
    let path =
        |name, program, frame: TcpFrame, action| Path::new(name, program, frame.build(), action);
    let ack4 = TcpFrame::ipv4().with_flags(TcpFlags::ACK);
    let ack6 = TcpFrame::ipv6().with_flags(TcpFlags::ACK);
    let null4 = TcpFrame::ipv4().with_flags(TcpFlags::NULL);
    let null6 = TcpFrame::ipv6().with_flags(TcpFlags::NULL);
    let syn_fin = TcpFrame::ipv4().with_flags(TcpFlags::SYN.with(TcpFlags::FIN));
    let tagged = ack4.clone().with_tags(&[(VLAN, 7)]);
    let twice_tagged = ack4.clone().with_tags(&[(SERVICE_VLAN, 7), (VLAN, 8)]);
    let tagged_null = null4.clone().with_tags(&[(VLAN, 7)]);
    let mut udp = ack4.build();
    udp[14 + 9] = UDP;
    let mut arp = ack4.build();
    arp[12..14].copy_from_slice(&ARP);
    let (guard, bare_parse) = (INGRESS_PROGRAM, "parse_drop");
    vec![
        bare_drop("bare XDP_DROP"),
        path("bare parse and drop, IPv4", bare_parse, ack4.clone(), DROP),
        path("bare parse and drop, IPv6", bare_parse, ack6.clone(), DROP),
        path("legal segment, IPv4", guard, ack4, PASS),
        path("legal segment, IPv6", guard, ack6, PASS),
        path("legal segment, VLAN", guard, tagged, PASS),
        path("legal segment, QinQ", guard, twice_tagged, PASS),
        path("illegal flags (NULL), IPv4", guard, null4, DROP),
        path("illegal flags (NULL), IPv6", guard, null6, DROP),
        path("illegal flags (NULL), VLAN", guard, tagged_null, DROP),
        path("illegal flags (SYN+FIN), IPv4", guard, syn_fin, DROP),
        Path::new("not TCP (UDP), IPv4", guard, udp, PASS),
        Path::new("not IP (ARP)", guard, arp, PASS),
    ]
}

/// Each path in each round, by whichever of the objects has its program.
fn take_turns(paths: &mut [Path], objects: [&Ebpf; 2], args: &Args) -> Result<()> {
    let [first, second] = objects;
    for round in 0..=args.rounds {
        for path in paths.iter_mut() {
            let object = if path.is_of(first) { first } else { second };
            measure(path, object, args.packets, round)?;
        }
    }
    Ok(())
}

/// Both families, with the frame that a connection begins with.
fn families() -> [(&'static str, TcpFrame); 2] {
    [("IPv4", TcpFrame::ipv4()), ("IPv6", TcpFrame::ipv6())]
}

fn one_flow(args: &Args) -> Result<Vec<Path>> {
    let config = objects::tracking([1 << 17; 2]);
    let guard = objects::guard(&config)?;
    let baseline = objects::baseline(&config, [1 << 17; 2])?;
    let mut paths = vec![bare_drop("bare XDP_DROP")];
    for (family, syn) in families() {
        let [syn, syn_ack, ack] = handshake(&syn);
        for frame in [&syn, &syn_ack] {
            Path::new("handshake", INGRESS_PROGRAM, frame.build(), PASS).run(&guard, 1)?;
        }
        let stamps = TcpFrame {
            options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1],
            ..ack.clone()
        };
        let hash = Rivals {
            hash: Some(paths.len()),
            ..Rivals::default()
        };
        let rival = |name: &str, frame: &TcpFrame| {
            Path::new(&format!("{name}, {family}"), "hash", frame.build(), PASS)
        };
        let path = |name: &str, frame: &TcpFrame| {
            let name = format!("{name}, {family}");
            Path::new(&name, INGRESS_PROGRAM, frame.build(), PASS).beside(hash)
        };
        paths.extend([
            rival("kernel hash, lookup and update", &ack),
            path("guard, ACK", &ack),
            path("guard, ACK with time stamps", &stamps),
        ]);
    }
    for round in 0..=args.rounds {
        for path in &mut paths {
            let object = if path.is_of(&guard) {
                &guard
            } else {
                &baseline
            };
            measure(path, object, args.packets, round)?;
        }
    }
    Ok(paths)
}

fn many_flows(args: &Args) -> Result<Vec<Path>> {
    let mut all = Vec::new();
    for (family, syn) in families() {
        let room = if syn.source.is_ipv4() {
            [MOST_FLOWS, 1]
        } else {
            [1, MOST_FLOWS]
        };
        let mut object = objects::baseline(&objects::tracking(room), room)?;
        let frames = handshake(&syn);
        let mut filled = 0;
        for (name, flows) in FLOWS {
            let established = establish(&mut object, &RIVALS, &frames, [filled, flows])?;
            // A few may find both of their sets full: those pass and are not remembered.
            ensure!(
                established * 1000 > u64::from(flows) * 999,
                "only {established} of {flows} connections are established"
            );
            filled = flows;
            let mut paths = contest(&format!("{name}, {family}"), &frames[2], all.len());
            for round in 0..=args.rounds {
                for path in &mut paths {
                    Shuffle::among(0, flows).set(&mut object)?;
                    measure(path, &object, args.packets, round)?;
                }
            }
            all.extend(paths);
        }
    }
    Ok(all)
}

/// The randomiser alone, the hash map and the guard, on the same frames.
fn contest(name: &str, frame: &TcpFrame, bare: usize) -> [Path; 4] {
    let path =
        |what: &str, program| Path::new(&format!("{what}, {name}"), program, frame.build(), PASS);
    let alone = Rivals {
        bare,
        ..Rivals::default()
    };
    let shuffled = Rivals::shuffled(bare);
    [
        bare_drop(""),
        path("another frame", "shuffled").beside(alone),
        path("kernel hash", "shuffled_hash").beside(shuffled),
        path("guard", "shuffled_guard").beside(shuffled.and_hash(bare + 2)),
    ]
}

fn turns(args: &Args) -> Result<Vec<Path>> {
    let mut all = Vec::new();
    for (family, syn) in families() {
        let room = [1 << 18; 2];
        let mut object = objects::baseline(&objects::tracking(room), room)?;
        let mut paths = turns_of(family, &syn, all.len());
        for round in 0..=args.rounds {
            let first = round * NEW_FLOWS;
            for (path, turn) in &mut paths {
                let shuffle = match turn {
                    Turn::Opening => Shuffle::from(first),
                    Turn::Answer => Shuffle::each(first, NEW_FLOWS).back(),
                    Turn::Later => Shuffle::each(first, NEW_FLOWS),
                };
                shuffle.set(&mut object)?;
                measure(path, &object, NEW_FLOWS, round)?;
            }
        }
        all.extend(paths.into_iter().map(|(path, _)| path));
    }
    Ok(all)
}

/// In which order a segment of all connections comes. What the hash map has put side by side in one
/// order would be met in the same one, if the later ones came like the first.
enum Turn {
    Opening,
    Answer,
    Later,
}

/// A connection's life, each of its segments by the guard and by the hash map.
fn turns_of(family: &str, syn: &TcpFrame, bare: usize) -> Vec<(Path, Turn)> {
    let [syn, syn_ack, ack] = handshake(syn);
    let fin = ack.clone().with_flags(FIN_ACK);
    let rst = TcpFrame {
        seq: ack.seq + 1,
        ..ack.clone().with_flags(TcpFlags::RST)
    };
    let mut nobody = ack.clone();
    nobody.ports.0 += 1;
    let named = |what: &str, program, frame: &TcpFrame, action| {
        Path::new(&format!("{what}, {family}"), program, frame.build(), action)
    };
    let alone = Rivals {
        bare,
        ..Rivals::default()
    };
    let shuffled = Rivals::shuffled(bare);
    let another = named("another frame", "shuffled", &syn, PASS).beside(alone);
    let mut paths = vec![(bare_drop(""), Turn::Later), (another, Turn::Later)];
    for (what, frame) in [
        ("SYN, new", syn),
        ("SYN+ACK", syn_ack),
        ("handshake's ACK", ack),
        ("FIN", fin),
        ("RST", rst),
    ] {
        let turn = || match frame.flags {
            TcpFlags::SYN => Turn::Opening,
            SYN_ACK => Turn::Answer,
            _ => Turn::Later,
        };
        let hash = shuffled.and_hash(bare + paths.len());
        let rival = named(
            &format!("kernel hash, {what}"),
            "shuffled_hash",
            &frame,
            PASS,
        );
        let own = named(&format!("guard, {what}"), "shuffled_guard", &frame, PASS);
        paths.extend([(rival.beside(shuffled), turn()), (own.beside(hash), turn())]);
    }
    let miss = named(
        "guard, ACK of no connection",
        "shuffled_guard",
        &nobody,
        DROP,
    );
    paths.push((miss.beside(shuffled), Turn::Later));
    paths
}

/// The first round patches the dispatcher and warms up; it is not counted.
fn measure(path: &mut Path, object: &Ebpf, packets: u32, round: u32) -> Result<()> {
    if round == 0 {
        path.run(object, packets).map(|_| ())
    } else {
        path.measure(object, packets)
    }
}
