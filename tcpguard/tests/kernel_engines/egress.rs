//! The same frames through the hook of what leaves.

use aya::{
    Ebpf, TestRunOptions,
    maps::PerCpuArray,
    programs::{SchedClassifier, TestRun as _},
};
use tcpguard::object::{self, Log};
use tcpguard_common::{
    abi::{self, Config, HOOKS, Hook, Interface, MAX_INTERFACES, counter_index},
    counters::Counters,
    parse::Link,
    policy::Policy,
    verdict::VerdictKind,
};

use crate::{
    assert_same_counters, count, expected, require_root,
    vectors::{self, Vector},
};

/// Loads the egress program for one kind of link.
fn egress(link: Link, policy: Policy) -> Ebpf {
    require_root();
    let mut interfaces = [Interface::default(); MAX_INTERFACES];
    interfaces[0] = Interface {
        index: 1,
        raw_ip: u16::from(link == Link::RawIp),
        inbound: 0,
    };
    let config = Config {
        egress: policy,
        interface_count: 1,
        interfaces,
        ..Config::DEFAULT
    };
    let mut object = object::open(&config, Log::Off).unwrap();
    let program: &mut SchedClassifier = object
        .program_mut(abi::EGRESS_PROGRAM)
        .unwrap()
        .try_into()
        .unwrap();
    program.load().unwrap();
    object
}

fn counted(object: &Ebpf) -> [Counters; HOOKS] {
    let map: PerCpuArray<_, Counters> = object.map(abi::COUNTERS).unwrap().try_into().unwrap();
    [Hook::Ingress, Hook::Egress].map(|hook| {
        let index = u32::try_from(counter_index(0, hook)).unwrap();
        let mut sum = Counters::ZERO;
        map.get(&index, 0)
            .unwrap()
            .iter()
            .for_each(|counters| sum.add(counters));
        sum
    })
}

/// Runs the egress program over every vector that it can be given, and compares what it answers
/// and counts with what is right under `policy`.
fn hold_egress(policy: Policy) -> Counters {
    const UNSPEC: u32 = u32::MAX;
    const SHOT: u32 = 2;
    let mut total = Counters::ZERO;
    for link in [Link::Ethernet, Link::RawIp] {
        let object = egress(link, policy);
        let program: &SchedClassifier = object
            .program(abi::EGRESS_PROGRAM)
            .unwrap()
            .try_into()
            .unwrap();
        let mut right = Counters::ZERO;
        for vector in vectors::every()
            .iter()
            .filter(|it| it.link == link && can_leave(it))
        {
            let options = TestRunOptions {
                data_in: Some(&vector.frame),
                ..TestRunOptions::new()
            };
            let run = program.test_run(options).unwrap_or_else(|error| {
                panic!("{}, {} octets: {error:?}", vector.name, vector.frame.len())
            });
            let judgement = expected(vector, &policy);
            let dropped = policy.apply(vector.verdict).is_drop();
            assert_eq!(
                run.return_value,
                if dropped { SHOT } else { UNSPEC },
                "{}",
                vector.name
            );
            count(
                &mut right,
                &judgement,
                u32::try_from(vector.frame.len()).unwrap(),
            );
        }
        let [ingress, egress] = counted(&object);
        assert_same_counters(&ingress, &Counters::ZERO);
        assert_same_counters(&egress, &right);
        total.add(&egress);
    }
    total
}

/// Whether `BPF_PROG_TEST_RUN` makes a socket buffer of it (Linux 6.18): it gives one page, and wants
/// the whole IP header behind an `EtherType` of IP. A buffer has no other length on the wire.
fn can_leave(vector: &Vector) -> bool {
    const LONGEST: usize = 3712;
    let len = vector.frame.len();
    let least = match vector.frame.get(12..14) {
        None => return false,
        Some([0x08, 0x00]) => 14 + 20,
        Some([0x86, 0xdd]) => 14 + 40,
        Some(_) => 14,
    };
    (least..=LONGEST).contains(&len) && vector.wire_len as usize == len
}

#[test]
fn kernel_egress_observes_and_never_drops() {
    let total = hold_egress(Policy::OBSERVE);
    assert_eq!(total.total(VerdictKind::Drop).packets, 0);
    assert!(total.total(VerdictKind::WouldDrop).packets > 1500);
    assert!(total.total(VerdictKind::Accept).packets > 720);
}

#[test]
fn kernel_egress_drops_where_it_is_told_to() {
    let total = hold_egress(Policy::ENFORCE);
    assert!(total.total(VerdictKind::Drop).packets > 1500);
}
