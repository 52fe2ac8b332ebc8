//! The link of a port goes down and comes back.

use core::time::Duration;

use sidereal_tests::{Net, Ptp, Ptp4l, Result, Sidereal, Transport};

use super::way::ETHERNET;

const DEADLINE: Duration = Duration::from_secs(40);
/// Delay_Req that workers answer without the engine are told to it once a second.
const ANSWERED: u64 = 4;

#[test]
fn a_port_of_dpdk_is_faulty_without_its_link_and_leads_again_with_it() -> Result<()> {
    let transport = Transport::Dpdk;
    Net::run("link-dpdk", transport.link(), |net| {
        let options = ETHERNET.options(transport, "[clock]\nreference = \"system\"\n");
        let mut sidereal = Sidereal::start(net, &options)?;
        let _slave = Ptp4l::start(net.client(), "slave", &ETHERNET.ptp4l_follows())?;
        let is = |state: &'static str| move |ptp: &Ptp| ptp.text("/port_ds/port_state") == state;
        sidereal.ptp_until("answers", DEADLINE, |ptp| {
            ptp.text("/port_ds/port_state") == "MASTER"
                && ptp.count("received_delay_req") >= ANSWERED
                && ptp.count("sent_delay_resp") >= ANSWERED
        })?;
        net.client().output(&["ip", "link", "set", "eth0", "down"])?;
        sidereal.ptp_until("the loss of the link", DEADLINE, is("FAULTY"))?;
        net.client().output(&["ip", "link", "set", "eth0", "up"])?;
        sidereal.ptp_until("the role of the master once more", DEADLINE, is("MASTER"))?;
        sidereal.stop()
    })
}
