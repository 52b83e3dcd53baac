//! What a guard counts, for Prometheus.
//!
//! ```text
//! Sample -> page       the text of all metrics
//!           readings   takes a sample when the page is asked for, once a second at most
//!           server     hands the page out by HTTP
//! ```

mod page;
mod readings;
mod server;

use tcpguard_common::{
    abi::Hook,
    conn::state::State,
    counters::{Counters, Tally},
    flags::TcpFlags,
    reason::Reason,
    verdict::{Bypass, Verdict, VerdictKind},
};

use self::page::{Kind, Page};
pub(crate) use self::server::Server;
use crate::{
    pins,
    programs::Runs,
    sample::{InterfaceSample, Sample},
    watch::turnover::transitions,
};

/// All metrics of a guard; `errors` is how often it could not be read when they were asked for.
pub(crate) fn text(sample: &Sample, errors: u64) -> String {
    let mut page = Page::default();
    guard(&mut page, sample, errors);
    frames(&mut page, sample);
    objections(&mut page, sample);
    bypasses(&mut page, sample);
    flags(&mut page, sample);
    connections(&mut page, sample);
    changes(&mut page, sample);
    programs(&mut page, sample);
    page.into_text()
}

fn guard(page: &mut Page, sample: &Sample, errors: u64) {
    let name = "build_info";
    page.family(name, Kind::Gauge, "The release of tcpguard that reads.");
    page.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    let name = "interface_info";
    page.family(name, Kind::Gauge, "How an interface is guarded.");
    for interface in &sample.interfaces {
        let labels = [
            ("interface", &*interface.name),
            ("ingress", interface.ingress.as_str()),
            ("egress", interface.egress.as_str()),
        ];
        page.sample(name, &labels, 1);
    }
    page.single(
        "uptime_seconds",
        Kind::Gauge,
        "How long the guard has been attached.",
        sample.uptime.as_secs_f64(),
    );
    page.single(
        "enforcing",
        Kind::Gauge,
        "Whether any check drops (1), or all of them only count (0).",
        u8::from(sample.enforcing),
    );
    page.single(
        "collection_errors_total",
        Kind::Counter,
        "How often metrics were asked for and the guard could not be read.",
        errors,
    );
}

/// What the programs cost, which the kernel keeps while `kernel.bpf_stats_enabled` is 1.
fn programs(page: &mut Page, sample: &Sample) {
    let mut family = |name, help, of: fn(&Runs) -> f64| {
        if !sample.runs.is_empty() {
            page.family(name, Kind::Counter, help);
        }
        for (hook, runs) in &sample.runs {
            page.sample(name, &[("hook", pins::name(*hook))], of(runs));
        }
    };
    family(
        "program_runs_total",
        "How often a program has run while kernel.bpf_stats_enabled was 1.",
        #[expect(clippy::cast_precision_loss, reason = "no program runs 2^53 times")]
        |runs| runs.count as f64,
    );
    family(
        "program_run_seconds_total",
        "How long these runs took, on all CPUs together.",
        |runs| runs.time.as_secs_f64(),
    );
}

/// Every hook of every interface.
fn hooks(sample: &Sample) -> impl Iterator<Item = (&InterfaceSample, Hook)> {
    let interfaces = sample.interfaces.iter();
    interfaces.flat_map(|interface| [Hook::Ingress, Hook::Egress].map(|hook| (interface, hook)))
}

/// What `of` reads from the counters of a hook.
fn tally(interface: &InterfaceSample, hook: Hook, of: impl Fn(&Counters) -> Tally) -> Tally {
    let counters = interface.counters.get(hook as usize);
    counters.map_or_else(Tally::default, of)
}

fn frames(page: &mut Page, sample: &Sample) {
    let mut family = |name, help, of: fn(Tally) -> u64| {
        page.family(name, Kind::Counter, help);
        for (interface, hook) in hooks(sample) {
            for kind in VerdictKind::ALL {
                let total = tally(interface, hook, |it| it.total(kind));
                let labels = [
                    ("interface", &*interface.name),
                    ("hook", pins::name(hook)),
                    ("verdict", kind.as_str()),
                ];
                page.sample(name, &labels, of(total));
            }
        }
    };
    family("frames_total", "Frames by verdict.", |it| it.packets);
    family("frame_bytes_total", "Octets of frames by verdict.", |it| {
        it.bytes
    });
}

fn objections(page: &mut Page, sample: &Sample) {
    let mut family = |name, help, verdict: fn(Reason) -> Verdict| {
        page.family(name, Kind::Counter, help);
        for (interface, hook) in hooks(sample) {
            for reason in Reason::ALL {
                let labels = [
                    ("interface", &*interface.name),
                    ("hook", pins::name(hook)),
                    ("reason", reason.as_str()),
                ];
                let packets = tally(interface, hook, |it| it.tally(verdict(reason))).packets;
                page.sample(name, &labels, packets);
            }
        }
    };
    family(
        "dropped_segments_total",
        "Segments that were dropped, by reason.",
        Verdict::dropped,
    );
    family(
        "would_drop_segments_total",
        "Segments that passed, but were objected to where nothing is dropped, by reason.",
        Verdict::would_drop,
    );
}

fn bypasses(page: &mut Page, sample: &Sample) {
    let name = "bypassed_frames_total";
    page.family(
        name,
        Kind::Counter,
        "Frames that passed unjudged, by cause.",
    );
    for (interface, hook) in hooks(sample) {
        for cause in Bypass::ALL {
            let labels = [
                ("interface", &*interface.name),
                ("hook", pins::name(hook)),
                ("cause", cause.as_str()),
            ];
            let packets = tally(interface, hook, |it| it.tally(Verdict::bypass(cause))).packets;
            page.sample(name, &labels, packets);
        }
    }
}

fn flags(page: &mut Page, sample: &Sample) {
    let name = "flags_total";
    page.family(
        name,
        Kind::Counter,
        "Segments by their set of flags, of those that were seen.",
    );
    let sets = (0..).map(TcpFlags::new).zip(sample.total().flags);
    for (set, seen) in sets.filter(|(_, seen)| *seen > 0) {
        page.sample(name, &[("flags", &set.to_string())], seen);
    }
}

fn connections(page: &mut Page, sample: &Sample) {
    const FAMILIES: [&str; 2] = ["ipv4", "ipv6"];
    let name = "connections";
    page.family(
        name,
        Kind::Gauge,
        "Connections by state when they were last counted, which takes a hundredth of a CPU at most.",
    );
    for (family, states) in FAMILIES.into_iter().zip(&sample.tables.states) {
        for (state, count) in State::ALL.into_iter().zip(states) {
            page.sample(
                name,
                &[("family", family), ("state", state.as_str())],
                count,
            );
        }
    }
    let name = "connections_limit";
    page.family(name, Kind::Gauge, "Connections that there is room for.");
    for family in FAMILIES {
        page.sample(name, &[("family", family)], sample.tables.limit);
    }
}

fn changes(page: &mut Page, sample: &Sample) {
    let events = &sample.events;
    let name = "transitions_total";
    page.family(
        name,
        Kind::Counter,
        "Changes of connections from state to state; - is none.",
    );
    let state = |state: Option<State>| state.map_or("-", State::as_str);
    for change in transitions(events) {
        let labels = [("from", state(change.before)), ("to", state(change.after))];
        page.sample(name, &labels, change.count);
    }
    for (name, help, value) in [
        (
            "adopted_connections_total",
            "Connections that were taken over in their middle.",
            events.adopted,
        ),
        (
            "resyncs_total",
            "Directions of connections that were anchored anew, because nothing was certain.",
            events.resync,
        ),
        (
            "table_full_total",
            "Segments that passed unremembered, because the table was full.",
            events.table_full,
        ),
        (
            "syn_cookies_sent_total",
            "SYNs that were answered with a cookie.",
            events.cookies_sent,
        ),
        (
            "syn_cookies_proved_total",
            "Connections that came of cookies.",
            events.cookies_proved,
        ),
    ] {
        page.single(name, Kind::Counter, help, value);
    }
}
