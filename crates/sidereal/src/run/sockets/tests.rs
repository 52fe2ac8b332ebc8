use super::*;
use crate::config::DEFAULT;
use crate::counter::local_clock;
use crate::engine_config::{Macs, engine_config};
use crate::run::waiting::wait;
use sidereal_engine::Engine;
use sidereal_ntp::KeyTable;
use sidereal_phc::SystemClock;
use sidereal_time::LeapTable;
use std::path::Path;

const SOURCE: SourceId = SourceId(7);

struct Bench {
    counter: LocalCounter,
    engine: Engine,
    clock: SystemClock,
    sockets: Sockets,
    server: UdpSocket,
}

impl Bench {
    fn new() -> Self {
        let counter = LocalCounter::best();
        // Nobody else is on the port of this test's own.
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = DEFAULT.replace("port = 123", &format!("port = {free}"));
        let config = Config::parse(&text, Path::new("F")).unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let keys = KeyTable::default();
        let engine = engine_config(&config, &keys, &Macs::new(), &Stamping::default(), None).unwrap();
        Self {
            counter,
            engine: Engine::new(local_clock(counter), engine, LeapTable::built_in(), counter.now()),
            clock: SystemClock::new(counter),
            sockets: Sockets::new(counter, &config, &Stamping::default()),
            server,
        }
    }

    fn send(&mut self, packet: u64, from: Endpoint, to: SocketAddr, stamp_wanted: bool) -> Vec<Happened> {
        let payload = packet.to_be_bytes().into_iter().collect();
        let packet = PacketId(packet);
        let outgoing = Outgoing { packet, source: Some(SOURCE), to, from, payload, stamp_wanted };
        self.sockets.send(&outgoing, Instant::now())
    }

    /// Asks the server; where the question came from.
    fn ask(&mut self, packet: u64, from: Endpoint) -> SocketAddr {
        let to = self.server.local_addr().unwrap();
        assert_eq!(self.send(packet, from, to, true), []);
        let mut buffer = [0; 64];
        let (len, from) = self.server.recv_from(&mut buffer).unwrap();
        assert_eq!(buffer.get(..len), Some(&packet.to_be_bytes()[..]));
        from
    }

    fn turn(&mut self, ready: &[Ready], now: Instant) -> Vec<Happened> {
        let mut locator = Locator { counter: self.counter, engine: &self.engine, system: &mut self.clock };
        self.sockets.turn(ready, &mut locator, now)
    }

    /// What happens next.
    fn next(&mut self) -> Happened {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let now = Instant::now();
            assert!(now < end, "nothing happens");
            let ready = wait(self.sockets.descriptors(), self.sockets.idle(now).min(Duration::from_secs(1)));
            let mut happened = self.turn(&ready, Instant::now());
            assert!(happened.len() <= 1, "{happened:?}");
            if let Some(happened) = happened.pop() {
                return happened;
            }
        }
    }
}

#[test]
fn questions_and_answers_are_stamped_by_the_kernel_on_our_counter() {
    let mut bench = Bench::new();
    // The kernel begins to stamp what comes a moment after it was first asked to.
    let stamped = (0..100).any(|_| {
        let before = bench.counter.now();
        let asked_from = bench.ask(1, Endpoint::Fresh);
        let Happened::Transmitted { packet: PacketId(1), left: Some(left) } = bench.next() else { panic!("not sent") };
        bench.server.send_to(b"answer", asked_from).unwrap();
        let Happened::Datagram { source: SOURCE, from, payload, arrival, .. } = bench.next() else {
            panic!("no answer")
        };
        let after = bench.counter.now();
        assert_eq!((from, payload.as_slice()), (bench.server.local_addr().unwrap(), &b"answer"[..]));
        let times = [before, left.ticks, arrival.ticks, after].map(|ticks| ticks.0);
        assert!(times.is_sorted(), "{times:?}");
        std::thread::sleep(Duration::from_millis(5));
        (left.source, arrival.source) == (StampSource::Kernel, StampSource::Kernel)
    });
    assert!(stamped, "never by the kernel");
}

#[test]
fn ports_are_new_where_that_is_wanted_and_close_in_time() {
    let mut bench = Bench::new();
    let mut ports = BTreeSet::new();
    for packet in 0..8 {
        ports.insert(bench.ask(packet, Endpoint::Fresh).port());
        assert_eq!(bench.sockets.count(), 1, "the one before is closed");
        assert!(matches!(bench.next(), Happened::Transmitted { packet: PacketId(sent), .. } if sent == packet));
    }
    assert!(ports.len() > 4, "{ports:?}");
    bench.ask(8, Endpoint::Fresh);
    let late = Instant::now() + FRESH_LIFETIME;
    let sent = bench.turn(&[], late);
    let is_software = |happened: &Happened| matches!(happened, Happened::Transmitted { left: Some(left), .. } if left.source == StampSource::Software);
    assert!(sent.len() == 1 && sent.iter().all(is_software), "a stamp that nobody read in time: {sent:?}");
    assert_eq!(bench.sockets.count(), 0);
    assert_eq!(bench.sockets.idle(late), Duration::MAX);
}

#[test]
fn peers_share_the_ntp_port_and_listeners_hear_no_strangers() {
    let mut bench = Bench::new();
    let to = bench.server.local_addr().unwrap();
    assert_eq!(bench.ask(1, Endpoint::Ntp).port(), bench.sockets.ntp_port);
    assert!(matches!(bench.next(), Happened::Transmitted { .. }));
    bench.sockets.listen(SOURCE, to, Instant::now());
    assert_eq!(bench.sockets.count(), 2, "the peer's own socket is there already");
    bench.sockets.listen(SOURCE, to, Instant::now());
    assert_eq!(bench.sockets.count(), 2);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ntp = SocketAddr::from(([127, 0, 0, 1], bench.sockets.ntp_port));
    stranger.send_to(b"stranger", ntp).unwrap();
    bench.server.send_to(b"peer", ntp).unwrap();
    assert!(matches!(bench.next(), Happened::Datagram { payload, .. } if payload == b"peer"));
    assert_eq!(bench.sockets.close(SOURCE), []);
    assert_eq!(bench.sockets.count(), 0);
}

#[test]
fn what_cannot_be_sent_is_told_once() {
    let mut bench = Bench::new();
    // Not allowed without being asked for.
    let broadcast = SocketAddr::from(([255, 255, 255, 255], 9));
    let failed = Happened::SendFailed { packet: PacketId(1), unreachable: false };
    assert_eq!(bench.send(1, Endpoint::Fresh, broadcast, true), [failed]);
    assert_eq!(bench.sockets.count(), 0);
    let to = bench.server.local_addr().unwrap();
    let sent = bench.send(2, Endpoint::Fresh, to, false);
    assert!(
        matches!(sent[..], [Happened::Transmitted { packet: PacketId(2), left: Some(left) }] if left.source == StampSource::Software)
    );
    assert!(!bench.sockets.held[0].socket.is_waiting());
}
