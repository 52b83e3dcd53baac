//! Nanoseconds a packet through `BPF_PROG_TEST_RUN`, beside programs that do next to nothing.
//!
//! All paths take turns in every round and each is compared with the bare drop of its own round, so
//! that the drift of a shared machine cancels out. `cargo xtask bench [-- --rounds N --json]`.

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader, TestRunOptions,
    programs::{TestRun as _, Xdp},
};
use clap::Parser;
use tcpguard::object::{self, Log};
use tcpguard_common::{
    abi::{Config, INGRESS_PROGRAM},
    craft::TcpFrame,
    flags::TcpFlags,
    wire::ethernet::{SERVICE_VLAN, VLAN},
};

static BASELINE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/baseline.bpf.o"));

const DROP: u32 = 1;
const PASS: u32 = 2;

/// IP protocol number of UDP.
const UDP: u8 = 17;
/// `EtherType` of ARP, as it lies in the frame.
const ARP: [u8; 2] = [0x08, 0x06];

/// Nanoseconds a packet of each path, in one run on this machine.
#[derive(Parser)]
struct Args {
    /// Rounds; in each, every path runs once.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(7..=1000))]
    rounds: u32,
    /// Packets a path and round.
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
    packets: u32,
    /// One JSON object instead of the table.
    #[arg(long)]
    json: bool,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One line of the result: a program, what it is given, what it must answer.
struct Path {
    name: &'static str,
    program: &'static str,
    frame: Vec<u8>,
    action: u32,
    nanos: Vec<f64>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut guard = object::open(&Config::DEFAULT, Log::Off).context("failed to open the guard")?;
    let mut baseline = EbpfLoader::new()
        .btf(None)
        .load(BASELINE)
        .context("failed to open the baseline")?;
    load_all(&mut guard)?;
    load_all(&mut baseline)?;
    let mut paths = paths();
    for path in &mut paths {
        // The first run of a program patches the dispatcher; it is not counted.
        run(&guard, &baseline, path, 1)?;
    }
    for _ in 0..args.rounds {
        for path in &mut paths {
            let nanos = run(&guard, &baseline, path, args.packets)?;
            path.nanos.push(nanos);
        }
    }
    report(&paths, &args);
    Ok(())
}

fn paths() -> Vec<Path> {
    let path = |name, program, frame: TcpFrame, action| Path {
        name,
        program,
        frame: frame.build(),
        action,
        nanos: Vec::new(),
    };
    let ack4 = TcpFrame::ipv4().with_flags(TcpFlags::ACK);
    let ack6 = TcpFrame::ipv6().with_flags(TcpFlags::ACK);
    let null4 = TcpFrame::ipv4().with_flags(TcpFlags::NULL);
    let null6 = TcpFrame::ipv6().with_flags(TcpFlags::NULL);
    let syn_fin = TcpFrame::ipv4().with_flags(TcpFlags::SYN.with(TcpFlags::FIN));
    let tagged = ack4.clone().with_tags(&[(VLAN, 7)]);
    let twice_tagged = ack4.clone().with_tags(&[(SERVICE_VLAN, 7), (VLAN, 8)]);
    let mut paths = vec![
        path("bare XDP_DROP", "bare_drop", ack4.clone(), DROP),
        path(
            "bare parse and drop, IPv4",
            "parse_drop",
            ack4.clone(),
            DROP,
        ),
        path(
            "bare parse and drop, IPv6",
            "parse_drop",
            ack6.clone(),
            DROP,
        ),
        path("legal segment, IPv4", INGRESS_PROGRAM, ack4.clone(), PASS),
        path("legal segment, IPv6", INGRESS_PROGRAM, ack6, PASS),
        path("legal segment, VLAN", INGRESS_PROGRAM, tagged, PASS),
        path("legal segment, QinQ", INGRESS_PROGRAM, twice_tagged, PASS),
        path(
            "illegal flags (NULL), IPv4",
            INGRESS_PROGRAM,
            null4.clone(),
            DROP,
        ),
        path("illegal flags (NULL), IPv6", INGRESS_PROGRAM, null6, DROP),
        path(
            "illegal flags (NULL), VLAN",
            INGRESS_PROGRAM,
            null4.with_tags(&[(VLAN, 7)]),
            DROP,
        ),
        path(
            "illegal flags (SYN+FIN), IPv4",
            INGRESS_PROGRAM,
            syn_fin,
            DROP,
        ),
        path("not TCP (UDP), IPv4", INGRESS_PROGRAM, ack4.clone(), PASS),
        path("not IP (ARP)", INGRESS_PROGRAM, ack4, PASS),
    ];
    let last = paths.len() - 1;
    paths[last - 1].frame[14 + 9] = UDP;
    paths[last].frame[12..14].copy_from_slice(&ARP);
    paths
}

fn load_all(object: &mut Ebpf) -> Result<()> {
    for (name, program) in object.programs_mut() {
        if let Ok(program) = TryInto::<&mut Xdp>::try_into(program) {
            program
                .load()
                .with_context(|| format!("failed to load {name}"))?;
        }
    }
    Ok(())
}

/// Runs a path `packets` times and gives nanoseconds a packet, as the kernel measures it.
fn run(guard: &Ebpf, baseline: &Ebpf, path: &Path, packets: u32) -> Result<f64> {
    let program = guard
        .program(path.program)
        .or_else(|| baseline.program(path.program));
    let program: &Xdp = program
        .with_context(|| format!("no program {}", path.program))?
        .try_into()?;
    let result = program.test_run(TestRunOptions {
        data_in: Some(&path.frame),
        repeat: packets,
        ..Default::default()
    })?;
    ensure!(
        result.return_value == path.action,
        "{} answers {} where {} is right",
        path.name,
        result.return_value,
        path.action
    );
    Ok(result.duration.as_secs_f64() * 1e9)
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(paths: &[Path], args: &Args) {
    let bare = &paths[0];
    let rows: Vec<(&str, f64, f64)> = paths
        .iter()
        .map(|path| {
            let ratio = median(
                path.nanos
                    .iter()
                    .zip(&bare.nanos)
                    .map(|(own, bare)| own / bare),
            );
            (path.name, median(path.nanos.iter().copied()), ratio)
        })
        .collect();
    if args.json {
        let rows: Vec<String> = rows
            .iter()
            .map(|(name, nanos, ratio)| {
                format!(r#"{{"path":"{name}","ns":{nanos:.1},"ratio":{ratio:.3}}}"#)
            })
            .collect();
        println!(
            r#"{{"rounds":{},"packets":{},"paths":[{}]}}"#,
            args.rounds,
            args.packets,
            rows.join(",")
        );
        return;
    }
    println!("{:<32} {:>8} {:>10}", "path", "ns", "x bare drop");
    for (name, nanos, ratio) in rows {
        println!("{name:<32} {nanos:>8.1} {ratio:>10.2}");
    }
    println!(
        "medians of {} rounds of {} packets a path",
        args.rounds, args.packets
    );
}
