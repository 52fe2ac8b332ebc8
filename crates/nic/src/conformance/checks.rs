//! The checks themselves.

use super::rig::{Check, PacketOf, Rig, SHORTEST, failed, see};
use super::{Harness, Kind, Outcome};
use crate::{BURST, Burst, Packet, RxQueue, RxStamps, Sent, Stamped, TxQueue, TxStamps};
use core::time::Duration;
use sidereal_time::{StampSource, TxStamp, TxToken};
use std::time::Instant;

type Named<H> = (&'static str, fn(&mut Rig<'_, H>) -> Check);

/// All checks, by name.
pub(super) fn all<H: Harness>() -> [Named<H>; 16] {
    [
        ("a queue without packets returns at once", empty_receive),
        ("every packet arrives once, unchanged and in order", arrival),
        ("packets say from whom they came", flows),
        ("received packets are stamped as claimed", rx_stamps),
        ("receiving appends to a burst and never overfills it", appending),
        ("a datagram longer than the buffer shows its real length", oversized_datagram),
        ("replies leave in order, unchanged, and as long as they were marked", replies),
        ("a reply beyond the buffer is cut or refused", oversized_reply),
        ("only marked packets are sent, and the burst is left empty", marking),
        ("buffers come back: many times the pool", no_leak),
        ("every token comes back once", tokens),
        ("sent packets are stamped as claimed", tx_stamps),
        ("every token comes back once while nobody takes the packets", tokens_when_full),
        ("every token comes back once without a link, and the link recovers", tokens_without_link),
        ("originated packets leave where the queue takes them", originate),
        ("waiting ends at its time", waiting),
    ]
}

fn empty_receive<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    const LOOKS: u32 = 1000;
    let mut burst = Burst::new();
    let start = Instant::now();
    for _ in 0..LOOKS {
        let came = rig.harness.queue().0.receive(&mut burst);
        if came != burst.len() {
            return failed(format!("it says that {came} came, and {} did", burst.len()));
        }
        rig.transmit(&mut burst);
    }
    let each = start.elapsed() / LOOKS;
    if each > Duration::from_millis(1) {
        return failed(format!("it took {each:?} each time: it waits"));
    }
    Ok(())
}

fn arrival<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    let longest = rig.harness.capabilities().max_length;
    let lens = [SHORTEST, SHORTEST + 1, 90, 255, 256, 999, longest - 1, longest];
    for _ in 0..8 {
        let numbers = rig.send(&lens)?;
        let mut burst = Burst::new();
        rig.gather(&mut burst, lens.len())?;
        for ((packet, number), len) in burst.iter_mut().zip(numbers).zip(lens) {
            let seen = see(packet);
            if seen.bytes != rig.packet(number, len) {
                let came = rig.number_of(packet);
                return failed(format!("packet {number} of {len} bytes was expected, {came} of {} came", seen.len));
            }
            if seen.room < seen.len {
                return failed(format!("a buffer of {} bytes for a packet of {}", seen.room, seen.len));
            }
        }
        rig.transmit(&mut burst);
        let again = rig.take(&mut burst);
        rig.transmit(&mut burst);
        if again != 0 {
            return failed("a packet came twice");
        }
    }
    Ok(())
}

fn flows<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    let mut burst = Burst::new();
    rig.send(&[SHORTEST])?;
    rig.gather(&mut burst, 1)?;
    let expected = match rig.harness.kind() {
        Kind::Frames { .. } => None,
        Kind::Datagrams { flow } => Some(flow),
    };
    let flow = burst.first_mut().and_then(|packet| see(packet).flow);
    rig.transmit(&mut burst);
    if flow == expected { Ok(()) } else { failed(format!("{flow:?} instead of {expected:?}")) }
}

fn rx_stamps<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    let claimed = rig.harness.capabilities().rx_stamps.get();
    let mut previous = None;
    for _ in 0..BURST {
        let mut burst = Burst::new();
        rig.send(&[SHORTEST])?;
        rig.gather(&mut burst, 1)?;
        let stamp = burst.first_mut().and_then(|packet| see(packet).stamp);
        rig.transmit(&mut burst);
        let fits = match (claimed, stamp.map(|stamp| stamp.source)) {
            (RxStamps::Software, None) => true,
            (RxStamps::Kernel, source) => source == Some(StampSource::Kernel),
            (RxStamps::Hardware(Stamped::All), source) => source == Some(StampSource::Hardware),
            (RxStamps::Latch(_, Stamped::All) | RxStamps::LastOfQueue(Stamped::All), source) => {
                matches!(source, None | Some(StampSource::Latch))
            }
            // What the suite sends is no PTP.
            (RxStamps::Hardware(Stamped::Ptp) | RxStamps::Latch(..) | RxStamps::LastOfQueue(_), source) => {
                matches!(source, None | Some(StampSource::Kernel))
            }
            (RxStamps::Software, Some(_)) => false,
        };
        if !fits {
            return failed(format!("the port claims stamps by {claimed}, and one is {stamp:?}"));
        }
        let ticks = stamp.map(|stamp| stamp.ticks.0);
        if ticks < previous {
            return failed(format!("a stamp of {ticks:?} after one of {previous:?}"));
        }
        previous = ticks;
    }
    Ok(())
}

fn appending<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    // Two bursts and a half, received in small helpings.
    let numbers = rig.send(&[SHORTEST; BURST * 5 / 2])?;
    let mut burst = Burst::new();
    rig.gather(&mut burst, BURST)?;
    let came = rig.harness.queue().0.receive(&mut burst);
    if came != 0 {
        return failed(format!("{came} packets came into a full burst"));
    }
    let mut seen = Vec::new();
    while seen.len() < numbers.len() {
        // Half of the burst stays, so that the next packets are appended behind it.
        let mut done: Burst<PacketOf<H>> = burst.drain(..burst.len().div_ceil(2)).collect();
        seen.extend(done.iter_mut().map(|packet| rig.number_of(packet)));
        rig.transmit(&mut done);
        let missing = numbers.len() - seen.len();
        rig.gather(&mut burst, missing.min(BURST))?;
    }
    if seen == numbers { Ok(()) } else { failed(format!("order or packets lost: {seen:?} instead of {numbers:?}")) }
}

fn oversized_datagram<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    let Kind::Datagrams { .. } = rig.harness.kind() else {
        return Err(Outcome::NotApplicable("frames that are too long do not come"));
    };
    let len = rig.harness.capabilities().max_length + 100;
    rig.send(&[len])?;
    let mut burst = Burst::new();
    rig.gather(&mut burst, 1)?;
    let told = burst.first_mut().map(|packet| see(packet).len);
    rig.transmit(&mut burst);
    if told == Some(len) { Ok(()) } else { failed(format!("{len} bytes were sent, {told:?} are told")) }
}

fn replies<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    let longest = rig.harness.capabilities().max_length;
    // Request and reply: as long, longer, shorter, as long as possible.
    let lens =
        [(90, 90), (90, 91), (SHORTEST, 300), (90, longest), (longest, SHORTEST), (longest, longest), (500, 400)];
    for _ in 0..8 {
        let numbers = rig.send(&lens.map(|(request, _)| request))?;
        let mut burst = Burst::new();
        rig.gather(&mut burst, lens.len())?;
        for (packet, (_, len)) in burst.iter_mut().zip(lens) {
            rig.answer(packet, len, None);
        }
        let sent = rig.transmit(&mut burst);
        if sent != (Sent { sent: lens.len(), refused: 0 }) {
            return failed(format!("{} replies were marked: {sent:?}", lens.len()));
        }
        let replies = rig.replies(lens.len())?;
        for (((came, bytes), number), (_, len)) in replies.iter().zip(numbers).zip(lens) {
            if *bytes != rig.reply_packet(number, len) {
                let found = bytes.len();
                return failed(format!("reply {number} of {len} bytes was expected, {came} of {found} came"));
            }
        }
        if rig.reply().is_some() {
            return failed("a reply came twice");
        }
    }
    Ok(())
}

fn oversized_reply<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    rig.send(&[SHORTEST])?;
    let mut burst = Burst::new();
    rig.gather(&mut burst, 1)?;
    if let Some(packet) = burst.first_mut() {
        packet.reply(usize::MAX, None);
    }
    let outcome = rig.transmit(&mut burst);
    if outcome.sent + outcome.refused == 1 { Ok(()) } else { failed(format!("one reply was marked: {outcome:?}")) }
}

fn marking<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    let mut burst = Burst::new();
    if rig.transmit(&mut burst) != Sent::default() {
        return failed("something was sent of an empty burst");
    }
    let numbers = rig.send(&[SHORTEST; BURST])?;
    rig.gather(&mut burst, BURST)?;
    for packet in burst.iter_mut().step_by(3) {
        rig.answer(packet, SHORTEST, None);
    }
    let marked: Vec<u64> = numbers.into_iter().step_by(3).collect();
    let outcome = rig.transmit(&mut burst);
    if !burst.is_empty() {
        return failed(format!("{} packets stayed in the burst", burst.len()));
    }
    if outcome != (Sent { sent: marked.len(), refused: 0 }) {
        return failed(format!("{} replies were marked: {outcome:?}", marked.len()));
    }
    let came: Vec<u64> = rig.replies(marked.len())?.into_iter().map(|(number, _)| number).collect();
    if came != marked || rig.reply().is_some() {
        return failed(format!("{marked:?} were marked, {came:?} or more came"));
    }
    Ok(())
}

fn no_leak<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    // Enough to empty the pool where one packet of each burst is lost.
    let rounds = rig.harness.pool() + 2;
    for round in 0..rounds {
        rig.send(&[SHORTEST; BURST])?;
        let mut burst = Burst::new();
        if let Err(Outcome::Failed(found)) = rig.gather(&mut burst, BURST) {
            return failed(format!("after {} packets: {found}", round * BURST));
        }
        // One half is answered, the other released.
        for packet in burst.iter_mut().step_by(2) {
            rig.answer(packet, SHORTEST, None);
        }
        rig.transmit(&mut burst);
        rig.replies(BURST / 2)?;
    }
    Ok(())
}

/// Sends a burst of replies with tokens and waits until all have come back. Returns what was sent, and the stamps.
fn burst_with_tokens<H: Harness>(rig: &mut Rig<'_, H>) -> Result<(Sent, Vec<TxStamp>), Outcome> {
    let keys = rig.send(&[SHORTEST; BURST])?;
    let mut burst = Burst::new();
    rig.gather(&mut burst, BURST)?;
    for packet in &mut burst {
        let key = rig.number_of(packet);
        rig.answer(packet, SHORTEST, Some(TxToken::new(key)));
    }
    let sent = rig.transmit(&mut burst);
    Ok((sent, rig.tokens(&keys)?))
}

fn tokens<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    for _ in 0..16 {
        burst_with_tokens(rig)?;
        rig.replies(BURST)?;
    }
    // Those with a token between those without.
    rig.send(&[SHORTEST; BURST])?;
    let mut burst = Burst::new();
    rig.gather(&mut burst, BURST)?;
    let mut keys = Vec::new();
    for (place, packet) in burst.iter_mut().enumerate() {
        let key = rig.number_of(packet);
        let wanted = place % 5 == 1;
        keys.extend(wanted.then_some(key));
        rig.answer(packet, SHORTEST, wanted.then(|| TxToken::new(key)));
    }
    rig.transmit(&mut burst);
    rig.tokens(&keys)?;
    rig.replies(BURST).map(drop)
}

fn tx_stamps<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    let claimed = rig.harness.capabilities().tx_stamps.get();
    let expected = match claimed {
        TxStamps::None => None,
        TxStamps::Software => Some(StampSource::Software),
        TxStamps::Kernel => Some(StampSource::Kernel),
        TxStamps::Latch | TxStamps::Fifo(_) => Some(StampSource::Latch),
        TxStamps::Hardware => Some(StampSource::Hardware),
    };
    let mut stamped = 0;
    let mut previous = 0;
    for _ in 0..BURST {
        // One by one: a latch takes no more at a time.
        let keys = rig.send(&[SHORTEST])?;
        let mut burst = Burst::new();
        rig.gather(&mut burst, 1)?;
        for packet in &mut burst {
            let key = rig.number_of(packet);
            rig.answer(packet, SHORTEST, Some(TxToken::new(key)));
        }
        rig.transmit(&mut burst);
        for answer in rig.tokens(&keys)? {
            let TxStamp::Stamped(stamp) = answer else { continue };
            if Some(stamp.source) != expected {
                return failed(format!("the port claims stamps by {claimed}, and one is {stamp:?}"));
            }
            if stamp.ticks.0 < previous {
                return failed(format!("a stamp of {} after one of {previous}", stamp.ticks.0));
            }
            previous = stamp.ticks.0;
            stamped += 1;
        }
        rig.replies(1)?;
    }
    if expected.is_some() && stamped * 2 < BURST && !rig.harness.loses_stamps() {
        return failed(format!("only {stamped} of {BURST} packets were stamped"));
    }
    Ok(())
}

fn tokens_when_full<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    let rounds = 2 + 2 * rig.harness.pool().div_ceil(BURST);
    for _ in 0..rounds {
        let (outcome, _) = burst_with_tokens(rig)?;
        if outcome.sent + outcome.refused != BURST {
            return failed(format!("{BURST} replies were marked: {outcome:?}"));
        }
        if outcome.refused == BURST {
            break;
        }
    }
    Ok(())
}

fn tokens_without_link<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    let keys = rig.send(&[SHORTEST; BURST])?;
    let mut burst = Burst::new();
    rig.gather(&mut burst, BURST)?;
    for packet in &mut burst {
        let key = rig.number_of(packet);
        rig.answer(packet, SHORTEST, Some(TxToken::new(key)));
    }
    if !rig.harness.set_link(false) {
        rig.transmit(&mut burst);
        rig.tokens(&keys)?;
        return Err(Outcome::NotApplicable("this harness cannot pull the cable"));
    }
    let outcome = rig.transmit(&mut burst);
    let came_back = rig.tokens(&keys);
    rig.harness.set_link(true);
    came_back?;
    if outcome.sent + outcome.refused != BURST {
        return failed(format!("{BURST} replies were marked: {outcome:?}"));
    }
    rig.settle()?;
    burst_with_tokens(rig)?;
    rig.replies(BURST).map(drop)
}

fn originate<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    let number = rig.next_number();
    let frame = rig.reply_packet(number, 90);
    let left = rig.harness.queue().1.originate(&frame, Some(TxToken::new(number)));
    let answers = rig.tokens(&[number])?;
    match rig.harness.kind() {
        Kind::Datagrams { .. } if left => failed("a datagram queue took a frame"),
        Kind::Datagrams { .. } if answers != [TxStamp::Lost] => failed("a packet that was refused has a stamp"),
        Kind::Datagrams { .. } => Ok(()),
        Kind::Frames { .. } if !left => failed("it was refused"),
        Kind::Frames { .. } => {
            for (_, bytes) in rig.replies(1)? {
                if bytes != frame {
                    return failed(format!("{frame:?} was sent, {bytes:?} came"));
                }
            }
            Ok(())
        }
    }
}

fn waiting<H: Harness>(rig: &mut Rig<'_, H>) -> Check {
    const AT_MOST: Duration = Duration::from_millis(20);
    let start = Instant::now();
    rig.harness.queue().0.wait(AT_MOST);
    let took = start.elapsed();
    // Generous: the machine may be busy. A wait that forgets its end takes for ever.
    if took > AT_MOST * 50 { failed(format!("{took:?} instead of at most {AT_MOST:?}")) } else { Ok(()) }
}
