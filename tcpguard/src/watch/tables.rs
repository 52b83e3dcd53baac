//! The tables that make up the screen and the summary.

use tcpguard_common::{
    abi::Hook,
    conn::state::State,
    verdict::{Bypass, Verdict, VerdictKind},
};

use super::{
    grid::{Cell, Column, Grid},
    number,
    objection::{Objection, objections},
    reading::{Pace, Rate, Reading, either, everything, judged, seen},
    tone::Tone,
    turnover::entered,
};
use crate::sample::{Egress, InterfaceSample};

/// Up to 999 999 frames a second exactly, scaled beyond that.
const RATE: usize = 7;
/// Always scaled.
const SCALED: usize = 6;

/// What a table tells, and how exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Detail {
    /// Whether it also tells how fast counts grow.
    pub(super) rates: bool,
    /// Width of a count; larger ones are scaled.
    pub(super) total: usize,
}

impl Detail {
    /// For a screen of this width: counts are exact up to 99 million, or a thousand times that.
    pub(super) fn of_screen(width: usize) -> Self {
        Self {
            rates: true,
            total: if width < 100 { 10 } else { 14 },
        }
    }

    /// For a summary, whose numbers may be compared with others.
    pub(super) const SUMMARY: Self = Self {
        rates: false,
        total: 14,
    };
}

/// What arrived, was dropped and left at each interface.
pub(super) fn interfaces(reading: &Reading, detail: Detail) -> Grid {
    let interfaces = &reading.sample.interfaces;
    let received = reading.by_interface(|hooks| seen(hooks, Hook::Ingress));
    // What would be dropped stands where drops would stand.
    let (objected, tone, kind) = if reading.sample.enforcing {
        ("dropped", Tone::Bad, VerdictKind::Drop)
    } else {
        ("would drop", Tone::Warning, VerdictKind::WouldDrop)
    };
    let stopped = reading.by_interface(|hooks| judged(hooks, kind));
    let sent = reading.by_interface(|hooks| seen(hooks, Hook::Egress));
    let sent = sent.into_iter().zip(interfaces);
    let sent: Vec<_> = sent.map(seen_at_egress).collect();

    let mut grid = places(interfaces);
    let mut traffic = |title, rate_title, paces: &[Option<Pace>], tone, ranks: [u8; 2]| {
        let totals = totals(paces, detail.total, tone);
        grid.push(Column::number(title, detail.total, totals).rank(ranks[0]));
        if detail.rates {
            grid.push(Column::number(rate_title, RATE, rates(paces, tone)).rank(ranks[1]));
        }
    };
    traffic("received", "/s", &some(received), Tone::Plain, [0, 1]);
    traffic(objected, "/s", &some(stopped), tone, [0, 1]);
    traffic("sent", "sent/s", &sent, Tone::Plain, [5, 4]);
    grid
}

/// Which interfaces are guarded, and where their frames are seen.
fn places(interfaces: &[InterfaceSample]) -> Grid {
    let texts = |text: fn(&InterfaceSample) -> &str| -> Vec<Cell> {
        let texts = interfaces.iter().map(text);
        texts.map(|text| Cell(text.into(), Tone::Plain)).collect()
    };
    let title = "Interface";
    let longest = interfaces.iter().map(|it| it.name.chars().count()).max();
    let width = longest.unwrap_or(0).max(title.len());

    let mut grid = Grid::default();
    grid.push(Column::text(title, width, texts(|it| &it.name)));
    grid.push(Column::text("ingress", 7, texts(|it| it.ingress.as_str())).rank(3));
    grid.push(Column::text("egress", 6, texts(|it| it.egress.as_str())).rank(3));
    grid
}

/// What became of all frames.
pub(super) fn verdicts(reading: &Reading, detail: Detail) -> Grid {
    let all = reading.overall(everything);
    let rows = rows(reading, all);
    // A row of zeros is there for the next refresh, not to be read.
    let counted = |text: &dyn Fn(&Pace) -> String| {
        let cell = |it: &Row| it.cell(it.pace.total.packets > 0, text(&it.pace));
        rows.iter().map(cell).collect()
    };
    let growing = |text: &dyn Fn(&Pace) -> String| {
        let cell = |it: &Row| it.cell(it.pace.packets > Rate::Zero, text(&it.pace));
        rows.iter().map(cell).collect()
    };
    let names = rows
        .iter()
        .map(|it| it.cell(true, it.name.into()))
        .collect();
    let packets = counted(&|pace| number::fitted(pace.total.packets, detail.total));
    let share = counted(&|pace| number::share(pace.total.packets, all.total.packets));
    let bytes = counted(&|pace| number::scaled(pace.total.bytes));

    let mut grid = Grid::default();
    grid.push(Column::text("Verdict", 10, names));
    grid.push(Column::number("packets", detail.total, packets));
    if detail.rates {
        let packets = growing(&|pace| number::rate(pace.packets, RATE));
        grid.push(Column::number("/s", RATE, packets));
        grid.push(Column::number("bit/s", SCALED, growing(&|pace| bits(pace.bits))).rank(2));
    }
    grid.push(Column::number("share", SCALED, share).rank(1));
    grid.push(Column::number("bytes", SCALED, bytes).rank(3));
    grid
}

fn rows(reading: &Reading, all: Pace) -> Vec<Row> {
    let kinds = VerdictKind::ALL.map(|kind| Row {
        name: name(kind),
        tone: tone(kind),
        pace: reading.overall(|counters| counters.total(kind)),
    });
    let total = Row {
        name: "total",
        tone: Tone::Plain,
        pace: all,
    };
    kinds.into_iter().chain([total]).collect()
}

/// A kind of verdict, or all of them.
struct Row {
    name: &'static str,
    tone: Tone,
    pace: Pace,
}

impl Row {
    fn cell(&self, matters: bool, text: String) -> Cell {
        Cell(text, if matters { self.tone } else { Tone::Quiet })
    }
}

/// What segments were objected to for, `None` so far.
pub(super) fn reasons(reading: &Reading, detail: Detail) -> Option<Grid> {
    let seen = objections(reading);
    if seen.is_empty() {
        return None;
    }
    let enforcing = reading.sample.enforcing;
    let any = |pace: fn(&Objection) -> Pace| seen.iter().any(|it| pace(it).total.packets > 0);
    let column = |title, tone, pace: fn(&Objection) -> Pace| {
        let paces: Vec<_> = seen.iter().map(|it| Some(pace(it))).collect();
        Column::number(title, detail.total, totals(&paces, detail.total, tone))
    };

    let mut grid = Grid::default();
    let names = seen
        .iter()
        .map(|it| Cell(it.reason.as_str().into(), name_tone(it, detail)));
    grid.push(Column::text("Reason", 18, names.collect()));
    // A column that the mode keeps at zero would only take width from the meaning.
    if enforcing || any(|it| it.dropped) {
        grid.push(column("dropped", Tone::Bad, |it| it.dropped));
    }
    if !enforcing || any(|it| it.would_drop) {
        grid.push(column("would drop", Tone::Warning, |it| it.would_drop));
    }
    if detail.rates {
        let paces: Vec<_> = seen.iter().map(|it| Some(it.both)).collect();
        grid.push(Column::number("/s", RATE, rates(&paces, Tone::Plain)).rank(1));
    }
    let meanings = seen
        .iter()
        .map(|it| it.reason.meaning().trim_end_matches('.'));
    let meanings = meanings
        .map(|meaning| Cell(meaning.into(), Tone::Quiet))
        .collect();
    grid.push(Column::wide("meaning", 12, meanings).rank(2));
    Some(grid)
}

/// States that connections are in or were in, `None` if there was no connection.
pub(super) fn states(reading: &Reading) -> Option<Grid> {
    let (tables, events) = (&reading.sample.tables, &reading.sample.events);
    let counts = State::ALL.map(|state| (state, tables.in_state(state), entered(events, state)));
    let seen: Vec<_> = counts
        .into_iter()
        .filter(|(_, now, entered)| now + entered > 0)
        .collect();
    let column = |title, count: fn(&(State, u64, u64)) -> u64| {
        let cells = seen.iter().map(|it| match count(it) {
            0 => Cell("0".into(), Tone::Quiet),
            count => Cell(number::fitted(count, 14), Tone::Plain),
        });
        Column::number(title, 14, cells.collect())
    };
    let names = seen
        .iter()
        .map(|(state, ..)| Cell(state.as_str().into(), Tone::Plain));
    let mut grid = Grid::default();
    grid.push(Column::text("State", 12, names.collect()));
    grid.push(column("now", |it| it.1));
    grid.push(column("entered", |it| it.2));
    (!seen.is_empty()).then_some(grid)
}

/// What passes unjudged, and for which cause.
pub(super) fn bypasses(reading: &Reading, detail: Detail) -> Grid {
    let paces = Bypass::ALL
        .map(|cause| Some(reading.overall(|counters| either(counters, &[Verdict::bypass(cause)]))));
    let names = Bypass::ALL.map(|cause| Cell(cause.as_str().into(), Tone::Quiet));
    let mut grid = Grid::default();
    grid.push(Column::text("Passed unjudged", 15, names.into()));
    let packets = totals(&paces, detail.total, Tone::Plain);
    grid.push(Column::number("packets", detail.total, packets));
    if detail.rates {
        grid.push(Column::number("/s", RATE, rates(&paces, Tone::Plain)).rank(1));
    }
    grid
}

/// What a kind of verdict is called where people read it.
pub(super) fn name(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::WouldDrop => "would drop",
        VerdictKind::Accept | VerdictKind::Ignore | VerdictKind::Drop | VerdictKind::Bypass => {
            kind.as_str()
        }
    }
}

fn tone(kind: VerdictKind) -> Tone {
    match kind {
        VerdictKind::Accept => Tone::Good,
        VerdictKind::Drop => Tone::Bad,
        VerdictKind::WouldDrop => Tone::Warning,
        VerdictKind::Ignore => Tone::Plain,
        VerdictKind::Bypass => Tone::Quiet,
    }
}

/// What happens now stands out from what happened before.
fn name_tone(objection: &Objection, detail: Detail) -> Tone {
    let active = detail.rates && objection.both.packets > Rate::Zero;
    if active { Tone::Title } else { Tone::Plain }
}

/// Where nothing can be seen, nothing is claimed.
fn seen_at_egress((pace, interface): (Pace, &InterfaceSample)) -> Option<Pace> {
    match interface.egress {
        Egress::Tcx | Egress::Clsact => Some(pace),
        Egress::None | Egress::Unseen => None,
    }
}

fn some(paces: Vec<Pace>) -> Vec<Option<Pace>> {
    paces.into_iter().map(Some).collect()
}

fn totals(paces: &[Option<Pace>], width: usize, tone: Tone) -> Vec<Cell> {
    let cell = |pace: &Option<Pace>| match pace {
        None => Cell("-".into(), Tone::Quiet),
        Some(pace) if pace.total.packets == 0 => Cell("0".into(), Tone::Quiet),
        Some(pace) => Cell(number::fitted(pace.total.packets, width), tone),
    };
    paces.iter().map(cell).collect()
}

fn rates(paces: &[Option<Pace>], tone: Tone) -> Vec<Cell> {
    let cell = |pace: &Option<Pace>| match pace {
        None => Cell("-".into(), Tone::Quiet),
        Some(Pace {
            packets: Rate::Zero,
            ..
        }) => Cell("0".into(), Tone::Quiet),
        Some(pace) => Cell(number::rate(pace.packets, RATE), tone),
    };
    paces.iter().map(cell).collect()
}

fn bits(rate: Rate) -> String {
    match rate {
        Rate::Zero => number::scaled(0),
        Rate::Trickle => "<1  ".into(),
        Rate::Whole(rate) => number::scaled(rate),
    }
}
