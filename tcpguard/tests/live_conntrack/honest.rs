//! Conversations of sane stacks over a network that loses, doubles and reorders what it carries.

use xtask::lab::conntrack::Side::{self, East, West};

use super::peer::Talk;

/// Octets of the largest segment.
const MSS: u32 = 1400;

/// A whole conversation. Each number below [`KINDS`] stands for another kind of beginning.
pub(crate) fn converse(talk: &mut Talk, kind: u32) {
    match kind % KINDS {
        0 => open_at_once(talk),
        1 => open_with_data(talk),
        2 => refuse(talk),
        3 => give_up(talk),
        4 => answer_anew(talk),
        5 => split(talk),
        6 => restart(talk),
        _ => open(talk),
    }
    for _ in 0..talk.random.below(5) {
        exchange(talk);
    }
    close(talk);
    if talk.random.once_in(3) {
        reuse(talk);
    }
}

/// Kinds of conversations.
pub(crate) const KINDS: u32 = 10;

fn any_side(talk: &mut Talk) -> Side {
    talk.random.pick(&[West, East])
}

/// The three-way handshake, with segments lost behind the tracker.
pub(crate) fn open(talk: &mut Talk) {
    talk.send(West, "S", 0);
    if talk.random.once_in(4) {
        talk.again(1);
    }
    answer(talk);
}

fn answer(talk: &mut Talk) {
    talk.hear(East);
    talk.send(East, "SA", 0);
    if talk.random.once_in(4) {
        talk.again(1);
    }
    complete(talk);
}

fn complete(talk: &mut Talk) {
    talk.hear(West);
    match talk.random.below(4) {
        0 => {
            let len = talk.room(West).min(300);
            talk.send(West, "PA", len);
        }
        1 => {
            talk.send(West, "A", 0);
            talk.again(1);
        }
        _ => talk.send(West, "A", 0),
    }
    if talk.random.once_in(4) {
        // The SYN+ACK again, because the third segment was lost; and that one again.
        let syn_ack = talk.steps.iter().rposition(|step| step.from == East);
        if let Some(index) = syn_ack {
            let back = talk.steps.len() - index;
            talk.again(back);
            talk.send(West, "A", 0);
        }
    }
    talk.acknowledge(East);
}

/// Simultaneous open (RFC 9293 section 3.5, figure 8).
fn open_at_once(talk: &mut Talk) {
    talk.send(West, "S", 0);
    talk.send(East, "S", 0);
    talk.hear(West);
    talk.hear(East);
    for side in [West, East] {
        let frame = talk.frame(side, "SA", 0);
        talk.put(side, frame);
    }
    talk.acknowledge(West);
    talk.acknowledge(East);
}

/// Fast open (RFC 7413): data in the SYN, taken or not, and data behind the SYN+ACK at once.
fn open_with_data(talk: &mut Talk) {
    let most = u32::from(talk.peer(East).window).min(MSS);
    let len = 1 + talk.random.below(most);
    talk.send(West, "S", len);
    let taken = !talk.random.once_in(3);
    if taken {
        talk.hear(East);
    } else {
        let isn = talk.peer(West).isn;
        talk.peer(East).expects = isn.wrapping_add(1);
        talk.peer(West).next = isn.wrapping_add(1);
    }
    talk.send(East, "SA", 0);
    if taken && talk.random.once_in(2) {
        let len = talk.room(East).min(MSS);
        talk.send(East, "PA", len);
    }
    if !taken {
        // Sent again as if it had never been sent.
        talk.hear(West);
        talk.send(West, "PA", len);
    }
    complete(talk);
}

/// The port is closed, then it is not (RFC 9293 section 3.10.7.1).
fn refuse(talk: &mut Talk) {
    talk.send(West, "S", 0);
    talk.hear(East);
    let mut refusal = talk.frame(East, "RA", 0);
    refusal.seq = 0;
    refusal.window = 0;
    talk.put(East, refusal);
    renew(talk, West);
    open(talk);
}

/// Nobody answers; the next attempt from the same port has another number.
fn give_up(talk: &mut Talk) {
    talk.send(West, "S", 0);
    talk.again(1);
    renew(talk, West);
    open(talk);
}

/// A server that keeps no state answers the same SYN with another number (SYN cookies).
fn answer_anew(talk: &mut Talk) {
    talk.send(West, "S", 0);
    talk.hear(East);
    talk.send(East, "SA", 0);
    talk.again(2);
    let number = talk.random.word();
    talk.peer(East).isn = number;
    talk.send(East, "SA", 0);
    complete(talk);
}

/// The SYN+ACK in two pieces: an acknowledgment, and a SYN that the client answers with SYN+ACK.
fn split(talk: &mut Talk) {
    talk.send(West, "S", 0);
    talk.send(East, "S", 0);
    talk.hear(West);
    let frame = talk.frame(West, "SA", 0);
    talk.put(West, frame);
    talk.acknowledge(East);
}

/// The client restarts and opens anew; the server still believes in the old connection (RFC 9293
/// section 3.5.1, figure 10; RFC 5961 section 4).
fn restart(talk: &mut Talk) {
    open(talk);
    exchange(talk);
    renew(talk, West);
    talk.send(West, "S", 0);
    // The challenge, the reset that it draws, and the second attempt.
    let challenge = talk.frame(East, "A", 0);
    let mut reset = talk.frame(West, "R", 0);
    reset.seq = challenge.ack;
    reset.window = 0;
    talk.put(East, challenge);
    talk.put(West, reset);
    renew(talk, East);
    talk.send(West, "S", 0);
    answer(talk);
}

/// A new initial sequence number, above what the side has used.
fn renew(talk: &mut Talk, side: Side) {
    let step = 64_000 + talk.random.below(1 << 20);
    let peer = talk.peer(side);
    peer.isn = peer.next.wrapping_add(step);
    peer.next = peer.isn;
    peer.expects = 0;
}

/// Data and its acknowledgment, in one way or the other.
fn exchange(talk: &mut Talk) {
    let side = any_side(talk);
    match talk.random.below(10) {
        0..=4 => burst(talk, side),
        5 => keep_alive(talk, side),
        6 => {
            let window = talk.random.pick(&[700, 5840, 65_535]);
            talk.peer(side).window = window;
            talk.acknowledge(side);
        }
        7 => fill(talk, side),
        8 => lose_one(talk, side),
        _ => {
            burst(talk, side);
            burst(talk, side.opposite());
        }
    }
}

fn burst(talk: &mut Talk, side: Side) {
    for _ in 0..=talk.random.below(4) {
        let len = (1 + talk.random.below(MSS)).min(talk.room(side));
        talk.send(side, "PA", len);
    }
    if talk.random.once_in(3) {
        talk.again(1);
    }
    if talk.random.once_in(3) {
        let last = talk.steps.len() - 1;
        if talk.steps[last - 1].from == side {
            talk.steps.swap(last, last - 1);
        }
    }
    talk.acknowledge(side.opposite());
    if talk.random.once_in(4) {
        talk.again(1);
    }
}

/// A probe with the number before the next one (RFC 9293 section 3.8.4), and its answer.
fn keep_alive(talk: &mut Talk, side: Side) {
    let mut probe = talk.frame(side, "A", 0);
    probe.seq = probe.seq.wrapping_sub(1);
    talk.put(side, probe);
    talk.acknowledge(side.opposite());
}

/// The window is closed, probed and opened again (RFC 9293 section 3.8.6.1).
fn fill(talk: &mut Talk, side: Side) {
    let receiver = side.opposite();
    let window = talk.peer(receiver).window;
    burst(talk, side);
    talk.peer(receiver).window = 0;
    talk.acknowledge(receiver);
    let probe = talk.frame(side, "A", 1);
    talk.put(side, probe);
    let refusal = talk.frame(receiver, "A", 0);
    talk.put(receiver, refusal);
    talk.peer(receiver).window = window;
    talk.acknowledge(receiver);
}

/// A segment is lost on its way to the tracker; what is behind it is acknowledged by SACK.
fn lose_one(talk: &mut Talk, side: Side) {
    let room = talk.room(side);
    if room < 20 {
        return;
    }
    let len = (room / 2).min(MSS);
    let lost = talk.frame(side, "PA", len);
    talk.peer(side).next = lost.seq.wrapping_add(len);
    let len = len.min(talk.room(side));
    talk.send(side, "PA", len);
    let next = talk.peer(side).next;
    let edges = [next.wrapping_sub(len), next];
    let receiver = side.opposite();
    let mut duplicate = talk.frame(receiver, "A", 0);
    if talk.peers.iter().all(|peer| peer.sack) {
        duplicate.options = vec![1, 1, 5, 10];
        duplicate.options.extend(edges[0].to_be_bytes());
        duplicate.options.extend(edges[1].to_be_bytes());
    }
    talk.put(receiver, duplicate);
    talk.put(side, lost);
    talk.acknowledge(receiver);
}

/// One of the ways in which connections end.
fn close(talk: &mut Talk) {
    let side = any_side(talk);
    let other = side.opposite();
    match talk.random.below(7) {
        0 => abort(talk, side),
        1 => {
            talk.send(side, "FA", 0);
            talk.send(other, "FA", 0);
            talk.acknowledge(side);
            talk.acknowledge(other);
        }
        2 => {
            let len = talk.room(side).min(100);
            talk.send(side, "FA", len);
            talk.hear(other);
            talk.send(other, "FA", 0);
            talk.acknowledge(side);
        }
        3 => {
            talk.send(side, "FA", 0);
            talk.acknowledge(other);
            for _ in 0..=talk.random.below(3) {
                burst(talk, other);
            }
            finish(talk, other);
        }
        // Only half closed, and then aborted.
        4 => {
            talk.send(side, "FA", 0);
            talk.acknowledge(other);
            abort(talk, other);
        }
        _ => {
            talk.send(side, "FA", 0);
            if talk.random.once_in(3) {
                talk.again(1);
            }
            talk.acknowledge(other);
            finish(talk, other);
        }
    }
}

/// The second FIN, which may come again, as may the last acknowledgment.
fn finish(talk: &mut Talk, side: Side) {
    talk.send(side, "FA", 0);
    talk.acknowledge(side.opposite());
    if talk.random.once_in(3) {
        talk.again(2);
        talk.again(2);
    }
}

/// A reset, while something of the other side is in flight or not.
fn abort(talk: &mut Talk, side: Side) {
    let flags = talk.random.pick(&["R", "RA"]);
    let late = talk.random.once_in(2).then(|| {
        let len = talk.room(side.opposite()).min(MSS);
        talk.frame(side.opposite(), "PA", len)
    });
    talk.send(side, flags, 0);
    if let Some(late) = late {
        let answer = late.ack;
        talk.put(side.opposite(), late);
        let mut reset = talk.frame(side, "R", 0);
        reset.seq = answer;
        talk.put(side, reset);
    }
}

/// Another connection between the same ports, from the same side.
fn reuse(talk: &mut Talk) {
    renew(talk, West);
    renew(talk, East);
    open(talk);
    exchange(talk);
}
