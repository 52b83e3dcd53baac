//! The guard's own judgement: the host engine of replays, which is the core and a flow table.

use tcpguard::{
    cli::Pickup,
    engine::{Engine as _, Frame, Rules, host::HostEngine},
};
use tcpguard_common::{
    abi::Adjudication, conn::ruling::Ruling, conn::state::State, flags::TcpFlags, parse::Link,
    policy::Policy, verdict::Verdict,
};

use super::peer::Sent;

/// A guard of a router: it sees both directions, and has nobody to ask about a connection.
pub(crate) struct Guard {
    engine: HostEngine,
    /// What is to be known of the conversation that is under way.
    loose: bool,
    syns: [Option<u32>; 2],
}

/// What the guard decided, and how sure it was.
#[derive(Clone, Copy)]
pub(crate) struct Judged {
    pub(crate) segment: Adjudication,
    pub(crate) verdict: Verdict,
    /// `None` if the segment did not get as far as the tracker.
    pub(crate) ruling: Option<Ruling>,
    /// Whether it had no handshake, seen from its beginning and told in one way, to hold numbers
    /// against.
    pub(crate) loose: bool,
}

impl Judged {
    pub(crate) fn before(&self) -> Option<State> {
        self.ruling?.before()
    }

    pub(crate) fn after(&self) -> Option<State> {
        self.ruling?.after()
    }
}

impl Guard {
    pub(crate) fn new(pickup: Pickup) -> Self {
        Self {
            engine: HostEngine::new(Rules::tracking(Policy::ENFORCE, pickup)),
            loose: false,
            syns: [None; 2],
        }
    }

    /// A conversation begins of which nothing was heard before.
    pub(crate) fn begin(&mut self) {
        self.loose = false;
        self.syns = [None; 2];
    }

    /// Decides about a frame.
    pub(crate) fn judge(&mut self, sent: &Sent) -> Judged {
        let frame = Frame::whole(Link::Ethernet, &sent.octets).at(sent.now);
        let segment = self
            .engine
            .adjudicate(&frame)
            .expect("a core that never fails");
        let verdict = Verdict::from_cell(segment.cell.into()).expect("a verdict");
        let judged = Judged {
            segment,
            verdict,
            ruling: Ruling::from_bits(segment.ruling),
            loose: self.loose,
        };
        self.loose |= self.loosens(sent, &judged);
        judged
    }

    /// Whether the tracker is less sure of the connection from here on: it was taken over in its
    /// middle or corrected, its ports have been used before, or there were two stories of how it
    /// begins.
    fn loosens(&mut self, sent: &Sent, judged: &Judged) -> bool {
        let Some(ruling) = judged.ruling else {
            return false;
        };
        let is_syn = judged.segment.flags & TcpFlags::SYN.bits() != 0;
        let mut retold = false;
        if is_syn && judged.verdict == Verdict::ACCEPT {
            let before = self.syns[sent.from as usize].replace(judged.segment.seq);
            retold = before.is_some_and(|seq| seq != judged.segment.seq);
        }
        ruling.is_adopted() || ruling.is_resync() || retold
    }
}
