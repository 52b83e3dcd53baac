//! Connections of real stacks, as another process lists them while a guard runs.

#![expect(
    clippy::unwrap_used,
    reason = "what a test relies on fails it by panicking"
)]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
};

use aya::maps::Map;
use common::{ERROR, Process, TCPGUARD, cable, eventually, ours};
use nix::sys::signal::Signal;
use serde_json::Value;
use tcpguard::{
    flows::Flows,
    object::{self, Log},
};
use tcpguard_common::{
    abi::{self, Config},
    flow::{FlowKey4, FlowKey6},
    table::Set,
};
use xtask::lab::{link::Station, namespace::Namespace};

const RUN: [&str; 5] = ["--json", "--interval", "50ms", "--max-conns", "1000"];
const SERVER: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const CLIENT: [&str; 2] = ["192.0.2.2", "2001:db8::2"];

/// A server behind a guarded cable, and a client at its other end.
struct Scene {
    server: Namespace,
    client: Namespace,
}

impl Scene {
    fn new() -> Self {
        let (server, client) = cable();
        let station = |namespace, interface, addresses: [&str; 2]| Station {
            namespace,
            interface,
            addresses: addresses.map(|it| it.parse().unwrap()).to_vec(),
        };
        let (one, two) = (
            station(&server, "guarded", SERVER),
            station(&client, "street", CLIENT),
        );
        one.assign().unwrap();
        two.assign().unwrap();
        one.knows(&two).unwrap();
        two.knows(&one).unwrap();
        Self { server, client }
    }

    /// A connection from the client: its stream, then the server's.
    fn connect(&self, address: &str) -> (TcpStream, TcpStream) {
        let address: IpAddr = address.parse().unwrap();
        let listen = || TcpListener::bind(SocketAddr::new(address, 0)).unwrap();
        let listener = self.server.within(listen).unwrap();
        let service = listener.local_addr().unwrap();
        let connect = || TcpStream::connect(service).unwrap();
        let client = self.client.within(connect).unwrap();
        (client, listener.accept().unwrap().0)
    }

    fn conns(&self, args: &[&str]) -> Vec<Value> {
        let mut command = self.server.command(TCPGUARD);
        let lines = common::stdout(command.args(["conns", "--json"]).args(args));
        let lines = lines.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The one connection of this client, once it is as expected.
    fn conn(&self, client: &TcpStream, is: impl Fn(&Value) -> bool) -> Value {
        let end = client.local_addr().unwrap();
        let mut last = Value::Null;
        let port = end.port().to_string();
        eventually("the connection is listed", || {
            let listed = self.conns(&["--port", &port]);
            last = listed.first().cloned().unwrap_or_default();
            assert!(listed.len() < 2, "{listed:?}");
            (last["source"] == end.to_string() && is(&last)).then(|| last.clone())
        })
    }
}

fn in_state(state: &str) -> impl Fn(&Value) -> bool {
    move |conn| conn["state"] == state
}

fn exchange(from: &mut TcpStream, to: &mut TcpStream, octets: usize) {
    from.write_all(&vec![b'.'; octets]).unwrap();
    to.read_exact(&mut vec![0; octets]).unwrap();
}

#[test]
fn a_connection_is_listed_from_its_beginning_to_its_end() {
    let scene = Scene::new();
    let guard = Process::guard(&scene.server, &["guarded"], &RUN);
    for address in SERVER {
        let (mut client, mut server) = scene.connect(address);
        exchange(&mut client, &mut server, 1_000);
        exchange(&mut server, &mut client, 200_000);
        let open = scene.conn(&client, |it| it["reply"]["seq"] == 200_001);
        assert_eq!(open["state"], "ESTABLISHED");
        assert_eq!(
            open["destination"],
            server.local_addr().unwrap().to_string()
        );
        assert_eq!(
            (&open["orig"]["octets"], &open["orig"]["seq"]),
            (&1_000.into(), &1_001.into())
        );
        assert_eq!(open["reply"]["octets"], 200_000);
        assert_eq!(open["reply"]["ack"], 1_001);
        assert_eq!(open["closed_by"], "-");
        assert_eq!(open["marks"], serde_json::json!(["reply-local"]));
        assert_eq!(open["interfaces"], serde_json::json!(["guarded"]));
        assert!(open["age_s"].as_f64() < Some(20.0), "{open}");

        server.shutdown(Shutdown::Write).unwrap();
        let closing = scene.conn(&client, in_state("CLOSE-WAIT"));
        assert_eq!(closing["closed_by"], "reply");
        client.shutdown(Shutdown::Write).unwrap();
        let closed = scene.conn(&client, in_state("TIME-WAIT"));
        assert_eq!(closed["closed_by"], "reply", "{closed}");
        assert_eq!(closed["orig"]["octets"], 1_000);
        assert_eq!(closed["reply"]["octets"], 200_000);
    }
    guard.signal(Signal::SIGTERM);
    assert!(guard.end().status.success());
}

#[test]
fn run_counts_the_same_states_and_how_they_came_about() {
    let scene = Scene::new();
    let guard = Process::guard(&scene.server, &["guarded"], &RUN);
    let mut open = Vec::new();
    for address in SERVER {
        for _ in 0..3 {
            open.push(scene.connect(address));
        }
    }
    let (ended, mut kept) = (open.split_off(4), open);
    for (client, server) in ended {
        client.shutdown(Shutdown::Write).unwrap();
        scene.conn(&client, in_state("CLOSE-WAIT"));
        server.shutdown(Shutdown::Write).unwrap();
        scene.conn(&client, in_state("TIME-WAIT"));
    }
    let (client, server) = kept.pop().unwrap();
    // With octets unread, closing is a reset.
    (&client).write_all(b"unread").unwrap();
    scene.conn(&client, |it| it["orig"]["octets"] == 6);
    drop(server);
    let reset = scene.conn(&client, in_state("CLOSED"));
    assert_eq!(reset["closed_by"], "reply");

    let expected = [("ESTABLISHED", 3), ("TIME-WAIT", 2), ("CLOSED", 1)];
    let mut listed = BTreeMap::<String, u64>::new();
    for conn in scene.conns(&[]) {
        *listed
            .entry(conn["state"].as_str().unwrap().into())
            .or_default() += 1;
    }
    let of_expected = expected.map(|(state, count)| (state.to_owned(), count));
    assert_eq!(listed, BTreeMap::from(of_expected));
    let line = guard.wait_for(r#""TIME-WAIT":2,"CLOSED":1}"#);
    let reading: Value = serde_json::from_str(&line).unwrap();
    for (state, count) in expected {
        assert_eq!(reading["states"][state], count, "{reading}");
    }
    let happened = |change: &str| reading["transitions"][change].as_u64();
    assert_eq!(happened("->SYN-SENT"), Some(6), "{reading}");
    assert_eq!(happened("SYN-SENT>SYN-RECEIVED"), Some(6));
    assert_eq!(happened("SYN-RECEIVED>ESTABLISHED"), Some(6));
    assert_eq!(happened("LAST-ACK>TIME-WAIT"), Some(2));
    assert_eq!(happened("ESTABLISHED>CLOSED"), Some(1));
    let tables = serde_json::json!({
        "half_open": {"entries": 0, "max": 2_000},
        "conns": {"entries": 6, "max": 2_000, "full": 0},
    });
    assert_eq!(reading["tables"], tables);
    assert_eq!(
        (&reading["adopted"], &reading["resync"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn filters_and_a_limit_choose_and_say_what_they_left_out() {
    let scene = Scene::new();
    let _guard = Process::guard(&scene.server, &["guarded"], &RUN);
    let open: Vec<_> = SERVER.into_iter().map(|it| scene.connect(it)).collect();
    scene.conn(&open[1].0, in_state("ESTABLISHED"));
    assert_eq!(scene.conns(&["--addr", "192.0.2.0/24"]).len(), 1);
    assert_eq!(scene.conns(&["--addr", "2001:db8::2"]).len(), 1);
    assert_eq!(scene.conns(&["--addr", "198.51.100.0/24"]).len(), 0);
    assert_eq!(scene.conns(&["--state", "established,closed"]).len(), 2);
    assert_eq!(scene.conns(&["--state", "closed"]).len(), 0);
    let mut command = scene.server.command(TCPGUARD);
    let limited = Process::spawn(command.args(["conns", "--limit", "1"])).end();
    assert_eq!(limited.status.code(), Some(0));
    assert_eq!(limited.stdout.lines().count(), 2, "{limited:?}");
    assert!(limited.stdout.contains("192.0.2.2:"), "sorted: {limited:?}");
    assert_eq!(limited.stderr, "1 more left out by --limit\n");
}

#[test]
fn each_guard_of_a_namespace_is_read_and_those_of_others_are_not() {
    let scene = Scene::new();
    let _guard = Process::guard(&scene.server, &["guarded"], &RUN);
    let _second = Process::guard(&scene.server, &["lo"], &RUN);
    let _other = Process::guard(&scene.client, &["street"], &RUN);
    let (client, _server) = scene.connect(SERVER[0]);
    scene.conn(&client, in_state("ESTABLISHED"));
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listener = scene.server.within(listen).unwrap();
    let here = listener.local_addr().unwrap();
    let local = scene.server.within(|| TcpStream::connect(here).unwrap());
    let local = local.unwrap();
    let conn = scene.conn(&local, in_state("ESTABLISHED"));
    assert_eq!(conn["interfaces"], serde_json::json!(["lo"]));
    let mut command = scene.server.command(TCPGUARD);
    let table = common::stdout(command.arg("conns"));
    let on = |interface: &str| {
        let told = format!("on {interface}");
        table.lines().filter(|line| line.ends_with(&told)).count()
    };
    assert_eq!(
        (on("guarded"), on("lo"), on("street")),
        (1, 1, 0),
        "{table}"
    );
}

#[test]
fn without_a_guard_or_the_right_to_read_one_it_says_what_to_do() {
    let alone = ours("alone");
    let ended = Process::spawn(alone.command(TCPGUARD).arg("conns")).end();
    assert_eq!(ended.status.code(), ERROR);
    assert!(
        ended.stderr.contains("tcpguard run --iface IF"),
        "{ended:?}"
    );
    let mut powerless = alone.command("setpriv");
    powerless.args(["--bounding-set=-all", "--inh-caps=-all", TCPGUARD, "conns"]);
    let ended = Process::spawn(&mut powerless).end();
    assert_eq!(ended.status.code(), ERROR);
    assert!(ended.stderr.contains("CAP_SYS_ADMIN"), "{ended:?}");
}

#[test]
fn a_table_of_another_shape_is_refused_with_both_sizes() {
    let object = object::open(&Config::DEFAULT, Log::Off).unwrap();
    let table = |name| match object.map(name) {
        Some(Map::Array(data)) => data,
        other => panic!("{name} is {other:?}"),
    };
    let (v4, v6) = (table(abi::FLOWS4), table(abi::FLOWS6));
    assert!(Flows::new(v4, v6).is_ok());
    let error = format!("{:#}", Flows::new(v6, v4).err().unwrap());
    let sizes = [size_of::<Set<FlowKey6>>(), size_of::<Set<FlowKey4>>()];
    for size in sizes.map(|size| size.to_string()) {
        assert!(error.contains(&size), "{error}");
    }
    let other = Flows::new(table(abi::CLOCK), v6).err().unwrap();
    assert!(
        format!("{other:#}").contains("IPv4 connections"),
        "{other:#}"
    );
}

/// What a map that this process holds takes of the kernel's memory, and how large its values are.
fn maps(guard: &Process) -> Vec<(usize, u64)> {
    let directory = format!("/proc/{}/fdinfo", guard.id());
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let told = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        let number = |key| -> Option<u64> {
            let line = told.lines().find_map(|line| line.strip_prefix(key));
            line?.trim().parse().ok()
        };
        if let (Some(id), Some(size), Some(memory)) =
            (number("map_id:"), number("value_size:"), number("memlock:"))
        {
            maps.insert(id, (usize::try_from(size).unwrap(), memory));
        }
    }
    maps.into_values().collect()
}

#[test]
fn a_connection_takes_as_much_kernel_memory_as_is_promised() {
    const CONNECTIONS: u64 = 1 << 17;
    let (server, _street) = cable();
    let limit = CONNECTIONS.to_string();
    let guard = Process::guard(&server, &["guarded"], &["--plain", "--max-conns", &limit]);
    let maps = maps(&guard);
    let sizes = [size_of::<Set<FlowKey4>>(), size_of::<Set<FlowKey6>>()];
    let table = |size| {
        let found: Vec<_> = maps.iter().filter(|(of, _)| *of == size).collect();
        assert_eq!(found.len(), 1, "{maps:?}");
        found[0].1
    };
    let shared = maps.iter().filter(|(size, _)| !sizes.contains(size));
    let shared: u64 = shared.map(|(_, memory)| memory).sum();
    println!(
        "tables {:?}, all other maps together {shared}",
        sizes.map(table)
    );
    for (size, promised) in sizes.into_iter().zip([97, 129]) {
        let memory = table(size);
        assert!(
            memory <= promised * CONNECTIONS,
            "{memory} octets of {maps:?}"
        );
    }
    let told = "tracking up to 131 072 connections of IPv4 and 131 072 of IPv6 in 29 MiB";
    guard.wait_for(told);
    let mebibytes = sizes.map(table).iter().sum::<u64>().div_ceil(1 << 20);
    assert_eq!(mebibytes, 29);
    // Counters and the rest grow with interfaces and CPUs, not with connections.
    assert!(shared < 1 << 20, "{maps:?}");
}
