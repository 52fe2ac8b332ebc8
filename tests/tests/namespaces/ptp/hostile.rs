//! Who is on the link may send what he likes: it is counted by name, and nobody is led astray.

use core::time::Duration;
use std::thread;

use sidereal_tests::{CLIENT_MAC, FrameSocket, Link, Net, Ptp, Ptp4l, Result, Sidereal, Transport};

use super::way::ETHERNET;

const DEADLINE: Duration = Duration::from_secs(40);
/// More than any table holds. They come in small volleys: what a socket's buffer cannot hold is lost to everybody.
const IDENTITIES: u16 = 1000;
const VOLLEY: u16 = 8;
const BETWEEN_VOLLEYS: Duration = Duration::from_millis(4);
/// The identity that ptp4l makes of the client's MAC.
const MASTER: &str = "020000.fffe.007702";

/// The masters that are heard are shown with what they are worth, without a clock being touched.
#[test]
fn masters_are_shown_to_who_asks() -> Result<()> {
    Net::run("seen", Link::Kernel, |net| {
        let _master = Ptp4l::start(net.client(), "master", &ETHERNET.ptp4l_leads())?;
        let sidereal = sidereal_tests::program("sidereal")?;
        let words = ["query", "--ptp", "eth0", "--transport", "ethernet", "--listen", "8s", "--json"];
        let text = net.server().output(&[&[sidereal.display().to_string().as_str()][..], &words].concat())?;
        let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let master = &document["masters"][0];
        assert_eq!(master["port_identity"], format!("{MASTER}-1"), "{text}");
        assert_eq!(master["announce"]["grandmaster_clock_quality"]["clock_class"], 6, "{text}");
        assert_eq!(master["two_step"], true, "{text}");
        let number = |key: &str| master[key].as_f64().unwrap_or(f64::MAX);
        // Both read one clock.
        assert!(number("offset_ns").abs() <= number("bound_ns") && number("bound_ns") < 1e6, "{text}");
        assert!(master["readings"].as_u64() >= Some(2), "{text}");
        Ok(())
    })
}

#[test]
fn nobody_is_led_astray() -> Result<()> {
    Net::run("astray", Link::Kernel, |net| {
        let _master = Ptp4l::start(net.client(), "master", &ETHERNET.ptp4l_leads())?;
        let table = format!("acceptable_masters = [{{ identity = \"{MASTER}\" }}]\n[[ptp.port]]");
        let mut options = ETHERNET.options(Transport::Kernel, "[clock]\nreference = \"sources\"\n");
        // A busy machine is not to be taken for a silent master.
        options.tables =
            options.tables.replace("[[ptp.port]]", &table).replace("announce_interval = -2", "announce_interval = 0");
        let mut sidereal = Sidereal::launch(net.server(), "sidereal", &options)?;
        let follows = |ptp: &Ptp| ptp.text("/port_ds/port_state") == "SLAVE";
        let before = sidereal.ptp_until("the role of the slave", DEADLINE, follows)?;
        let own = before.text("/default_ds/clock_identity").to_owned();

        let socket = FrameSocket::open(net.client())?;
        let send = |message: &[u8]| socket.send(&[&GROUP, &CLIENT_MAC[..], &[0x88, 0xf7], message].concat());
        for _ in 0..3 {
            send(&announce([9; 8], 0)[..40])?;
            send(&with(announce([9; 8], 0), 1, 0x01))?;
            send(&with(announce([9; 8], 0), 0, 0x05))?;
            send(&[&with(announce([9; 8], 0), 3, 70)[..], &[0x7f, 0, 0, 40, 0, 0]].concat())?;
            send(&with(announce([9; 8], 0), 0, 0x1b))?;
            send(&delay_resp_for_another())?;
            send(&announce(identity(&own), 0))?;
        }
        for number in 0..IDENTITIES {
            let [high, low] = number.to_be_bytes();
            send(&announce([6, 6, 6, 0xff, 0xfe, 6, high, low], 0))?;
            if number % VOLLEY == 0 {
                thread::sleep(BETWEEN_VOLLEYS);
            }
        }
        let after = sidereal
            .ptp_until("the flood counted", DEADLINE, |ptp| ptp.count("not_acceptable") > u64::from(IDENTITIES) / 2)?;
        for reason in ["truncated", "wrong_version", "unknown_message_type", "tlv_past_end", "wrong_sdo_id"] {
            assert!(after.count(reason) >= 3, "{reason}: {after}");
        }
        for reasons in [["for_another", "not_our_master"], ["reflected", "duplicate_identity"]] {
            assert!(reasons.iter().any(|reason| after.count(reason) >= 3), "{reasons:?}: {after}");
        }
        assert_eq!(after.text("/port_ds/port_state"), "SLAVE", "{after}");
        assert_eq!(after.text("/parent_ds/grandmaster_identity"), MASTER, "{after}");
        assert_eq!(after.count("announce_timeout"), before.count("announce_timeout"), "{after}");
        sidereal.stop()
    })
}

/// The group of all PTP Ports (IEEE 1588-2019 Annex E).
const GROUP: [u8; 6] = [0x01, 0x1b, 0x19, 0, 0, 0];

/// An Announce of a better clock than any: class 6, within 25 ns, with this priority1.
fn announce(identity: [u8; 8], priority1: u8) -> [u8; 64] {
    let mut message = [0; 64];
    message[0] = 0x0b;
    message[1] = 0x02;
    message[3] = 64;
    message[20..28].copy_from_slice(&identity);
    message[29] = 1;
    message[32] = 5;
    message[47] = priority1;
    message[48..52].copy_from_slice(&[6, 0x20, 0, 0]);
    message[53..61].copy_from_slice(&identity);
    message[63] = 0x20;
    message
}

fn with<const N: usize>(mut message: [u8; N], place: usize, value: u8) -> [u8; N] {
    message[place] = value;
    message
}

/// What the master answered to somebody whom nobody knows.
fn delay_resp_for_another() -> [u8; 54] {
    let mut message = [0; 54];
    message[0] = 0x09;
    message[1] = 0x02;
    message[3] = 54;
    message[20..28].copy_from_slice(&identity(MASTER));
    message[29] = 1;
    message[32] = 3;
    message[44..52].copy_from_slice(&[4; 8]);
    message
}

fn identity(text: &str) -> [u8; 8] {
    let digits: String = text.chars().filter(|character| *character != '.').collect();
    u64::from_str_radix(&digits, 16).unwrap_or_default().to_be_bytes()
}
