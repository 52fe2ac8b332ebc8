//! The system calls, each as a safe function: the only place here that talks to the kernel by pointer.

use crate::Mode;
use crate::poll::PollFd;
use core::ffi::{c_char, c_int, c_uint};
use core::mem::{size_of, zeroed};
use core::ptr;
use core::time::Duration;
use sidereal_nic::BURST;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Where one message of a burst is read from or written to.
pub(crate) struct Message<'a> {
    /// The peer's socket address.
    pub(crate) name: &'a mut [u8],
    /// The payload.
    pub(crate) payload: &'a mut [u8],
    /// The control messages.
    pub(crate) control: &'a mut [u8],
}

/// What the kernel said of one received message.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    /// The real length of the datagram, also where the buffer was too short for it.
    pub(crate) len: usize,
    /// How much of the control buffer was written.
    pub(crate) control: usize,
}

/// A new socket that never blocks and is closed on exec. Made by the plainest calls, which every kernel and every simulator
/// that stands in for one has.
pub(crate) fn socket(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = check(unsafe { libc::socket(domain, kind, protocol) })?;
    // SAFETY: the descriptor is new, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: no pointers are passed.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })?;
    // SAFETY: no pointers are passed.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(fd)
}

/// Sets a socket option to these bytes.
pub(crate) fn set_option(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &[u8]) -> io::Result<()> {
    let (pointer, len) = (value.as_ptr().cast(), length(value.len()));
    // SAFETY: `pointer` and `len` are those of a slice.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, pointer, len) }).map(drop)
}

/// Sets a socket option that is an integer.
pub(crate) fn set_int(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    set_option(fd, level, name, &value.to_ne_bytes())
}

/// Reads a socket option into `value`; returns how many bytes it has.
pub(crate) fn option(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &mut [u8]) -> io::Result<usize> {
    let mut len = length(value.len());
    let pointer = value.as_mut_ptr().cast();
    // SAFETY: `pointer` and `len` are those of a slice that is ours to write.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, pointer, &raw mut len) })?;
    Ok(len as usize)
}

/// Attaches a classic BPF program.
pub(crate) fn attach_filter(fd: BorrowedFd<'_>, name: c_int, program: &[libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let (pointer, len) = ((&raw const program).cast(), length(size_of::<libc::sock_fprog>()));
    // SAFETY: `program` describes a slice that lives as long as the call, and the kernel only reads it.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, pointer, len) }).map(drop)
}

/// Binds to a socket address.
pub(crate) fn bind(fd: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are those of a slice.
    check(unsafe { libc::bind(fd.as_raw_fd(), name.as_ptr().cast(), length(name.len())) }).map(drop)
}

/// Connects to a socket address.
pub(crate) fn connect(fd: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are those of a slice.
    check(unsafe { libc::connect(fd.as_raw_fd(), name.as_ptr().cast(), length(name.len())) }).map(drop)
}

/// Reads the socket's own address into `name`.
pub(crate) fn local_name(fd: BorrowedFd<'_>, name: &mut [u8]) -> io::Result<()> {
    let mut len = length(name.len());
    // SAFETY: pointer and length are those of a slice that is ours to write.
    check(unsafe { libc::getsockname(fd.as_raw_fd(), name.as_mut_ptr().cast(), &raw mut len) }).map(drop)
}

/// The index of a network interface.
pub(crate) fn interface_index(name: &CStr) -> io::Result<c_uint> {
    // SAFETY: the name ends with a zero byte.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// The type of hardware of a network interface and its address there.
pub(crate) fn hardware_address(fd: BorrowedFd<'_>, name: &CStr) -> io::Result<(u16, [u8; 6])> {
    // SAFETY: an interface request of zeros is an empty one.
    let mut request: libc::ifreq = unsafe { zeroed() };
    set_name(&mut request, name);
    // SAFETY: SIOCGIFHWADDR reads and writes an `ifreq`, which this is.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut request) })?;
    // SAFETY: the kernel has written a socket address there, and all bytes are a value of one.
    let address = unsafe { request.ifr_ifru.ifru_hwaddr };
    let [a, b, c, d, e, f, ..] = address.sa_data.map(c_char::cast_unsigned);
    Ok((address.sa_family, [a, b, c, d, e, f]))
}

/// The flags of a network interface (`netdevice(7)`).
pub(crate) fn interface_flags(fd: BorrowedFd<'_>, name: &CStr) -> io::Result<c_int> {
    // SAFETY: an interface request of zeros is an empty one.
    let mut request: libc::ifreq = unsafe { zeroed() };
    set_name(&mut request, name);
    // SAFETY: SIOCGIFFLAGS reads and writes an `ifreq`, which this is.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) })?;
    // SAFETY: the kernel has written the flags there, and all bytes are a value of them.
    Ok(c_int::from(unsafe { request.ifr_ifru.ifru_flags }))
}

/// linux/sockios.h.
const SIOCETHTOOL: libc::Ioctl = 0x8946;

/// `struct ethtool_ts_info` (linux/ethtool.h).
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct StampingInfo {
    pub(crate) command: u32,
    /// Bits of `SOF_TIMESTAMPING_*`.
    pub(crate) so_timestamping: u32,
    /// The clock, or -1.
    pub(crate) phc_index: i32,
    /// Bit n: `HWTSTAMP_TX_*` of number n.
    pub(crate) tx_types: u32,
    pub(crate) tx_reserved: [u32; 3],
    /// Bit n: `HWTSTAMP_FILTER_*` of number n.
    pub(crate) rx_filters: u32,
    pub(crate) rx_reserved: [u32; 3],
}

/// What a network interface can stamp.
pub(crate) fn stamping_info(fd: BorrowedFd<'_>, name: &CStr) -> io::Result<StampingInfo> {
    /// linux/ethtool.h.
    const ETHTOOL_GET_TS_INFO: u32 = 0x41;
    let mut info = StampingInfo { command: ETHTOOL_GET_TS_INFO, ..StampingInfo::default() };
    // SAFETY: ETHTOOL_GET_TS_INFO reads and writes an `ethtool_ts_info`, which `info` is.
    unsafe { about_interface(fd, name, SIOCETHTOOL, (&raw mut info).cast()) }?;
    Ok(info)
}

/// `struct ethtool_drvinfo` (linux/ethtool.h).
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct DriverNames {
    command: u32,
    pub(crate) driver: [u8; 32],
    version: [u8; 32],
    pub(crate) firmware: [u8; 32],
    bus: [u8; 32],
    expansion_rom: [u8; 32],
    reserved: [u8; 12],
    lengths: [u32; 5],
}

/// What the driver of a network interface is called.
pub(crate) fn driver_info(fd: BorrowedFd<'_>, name: &CStr) -> io::Result<DriverNames> {
    /// linux/ethtool.h.
    const ETHTOOL_GDRVINFO: u32 = 3;
    let mut info = DriverNames {
        command: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        version: [0; 32],
        firmware: [0; 32],
        bus: [0; 32],
        expansion_rom: [0; 32],
        reserved: [0; 12],
        lengths: [0; 5],
    };
    // SAFETY: ETHTOOL_GDRVINFO reads and writes an `ethtool_drvinfo`, which `info` is.
    unsafe { about_interface(fd, name, SIOCETHTOOL, (&raw mut info).cast()) }?;
    Ok(info)
}

/// What a network interface is set to stamp.
pub(crate) fn stamping_config(fd: BorrowedFd<'_>, name: &CStr) -> io::Result<libc::hwtstamp_config> {
    let mut config = libc::hwtstamp_config { flags: 0, tx_type: 0, rx_filter: 0 };
    // SAFETY: SIOCGHWTSTAMP writes a `hwtstamp_config`, which `config` is.
    unsafe { about_interface(fd, name, libc::SIOCGHWTSTAMP as libc::Ioctl, (&raw mut config).cast()) }?;
    Ok(config)
}

/// Sets what a network interface stamps. Returns what its driver made of it.
pub(crate) fn set_stamping_config(
    fd: BorrowedFd<'_>,
    name: &CStr,
    mut config: libc::hwtstamp_config,
) -> io::Result<libc::hwtstamp_config> {
    // SAFETY: SIOCSHWTSTAMP reads and writes a `hwtstamp_config`, which `config` is.
    unsafe { about_interface(fd, name, libc::SIOCSHWTSTAMP as libc::Ioctl, (&raw mut config).cast()) }?;
    Ok(config)
}

/// Sends a request about a network interface whose argument is behind a pointer.
///
/// # Safety
/// The kernel must read and write for `request` nothing but what `data` points to.
unsafe fn about_interface(fd: BorrowedFd<'_>, name: &CStr, number: libc::Ioctl, data: *mut c_char) -> io::Result<()> {
    // SAFETY: an interface request of zeros is an empty one.
    let mut request: libc::ifreq = unsafe { zeroed() };
    set_name(&mut request, name);
    request.ifr_ifru.ifru_data = data;
    // SAFETY: such requests read an `ifreq`, and of what `data` points to the caller has promised what they do with it.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), number, &raw mut request) }).map(drop)
}

/// Makes the open `/dev/net/tun` a TAP interface of this name, whose frames come without a header of the driver's own.
pub(crate) fn make_tap(fd: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: an interface request of zeros is an empty one.
    let mut request: libc::ifreq = unsafe { zeroed() };
    set_name(&mut request, name);
    #[expect(clippy::cast_possible_truncation, reason = "the flags of interface requests have 16 bits")]
    let flags = (libc::IFF_TAP | libc::IFF_NO_PI) as _;
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: TUNSETIFF reads and writes an `ifreq`, which this is.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF, &raw mut request) }).map(drop)
}

/// Says which interface a request is about. What is left of `request` ends the name.
fn set_name(request: &mut libc::ifreq, name: &CStr) {
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name.iter_mut().take(room).zip(name.to_bytes()) {
        *to = from.cast_signed();
    }
}

/// Sends a request to rtnetlink and reads the answer, which the kernel has ready when the request returns. Returns its length.
pub(crate) fn ask_netlink(request: &[u8], answer: &mut [u8]) -> io::Result<usize> {
    let socket = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    let fd = socket.as_raw_fd();
    // SAFETY: pointer and length are those of a slice.
    let sent = unsafe { libc::send(fd, request.as_ptr().cast(), request.len(), 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: pointer and length are those of a slice that is ours to write.
    let received = unsafe { libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0) };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// CLOCK_MONOTONIC_RAW in nanoseconds.
pub(crate) fn monotonic_raw_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists since Linux 2.6.28 and `now` is ours to write, so this cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &raw mut now) };
    now.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec.cast_unsigned())
}

/// Waits until one of `fds` has one of its events or an error, `timeout` long at the most (rounded up to milliseconds; `None`
/// is for ever). A signal ends the wait early.
pub(crate) fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    let timeout =
        timeout.map_or(-1, |timeout| c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX));
    // SAFETY: pointer and length are those of a slice that is ours to write, and a `PollFd` has the layout of a `pollfd`.
    match check(unsafe { libc::poll(fds.as_mut_ptr().cast(), fds.len() as libc::nfds_t, timeout) }) {
        Ok(ready) => Ok(ready.cast_unsigned() as usize),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        Err(error) => Err(error),
    }
}

/// Receives as many messages as have come, at most as many as there are places. Returns how many.
pub(crate) fn receive<'a>(
    fd: BorrowedFd<'_>,
    mode: Mode,
    flags: c_int,
    messages: impl Iterator<Item = Message<'a>>,
    outcomes: &mut [Outcome; BURST],
) -> io::Result<usize> {
    let mut headers = Headers::new();
    let count = headers.fill(messages);
    // MSG_TRUNC as a flag asks for the real length of a datagram.
    let flags = flags | libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    let headers = headers.messages.get_mut(..count).unwrap_or_default();
    let received = match mode {
        Mode::Burst => {
            let (pointer, len) = (headers.as_mut_ptr(), length(headers.len()));
            // SAFETY: the headers describe slices that are borrowed for as long as this call lasts.
            let received = unsafe { libc::recvmmsg(fd.as_raw_fd(), pointer, len, flags, ptr::null_mut()) };
            check(received)?.cast_unsigned() as usize
        }
        Mode::Single => one_by_one(headers, |header| {
            // SAFETY: the header describes slices that are borrowed for as long as this call lasts.
            unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header.msg_hdr, flags) }
        })?,
    };
    for (outcome, header) in outcomes.iter_mut().zip(headers.iter().take(received)) {
        *outcome = Outcome { len: header.msg_len as usize, control: header.msg_hdr.msg_controllen };
    }
    Ok(received)
}

/// Sends the messages in order, up to the first that the kernel does not take. Returns how many it took; an error tells of
/// the first message.
pub(crate) fn send<'a>(
    fd: BorrowedFd<'_>,
    mode: Mode,
    messages: impl Iterator<Item = Message<'a>>,
) -> io::Result<usize> {
    let mut headers = Headers::new();
    let count = headers.fill(messages);
    let headers = headers.messages.get_mut(..count).unwrap_or_default();
    match mode {
        Mode::Burst => {
            let (pointer, len) = (headers.as_mut_ptr(), length(headers.len()));
            // SAFETY: the headers describe slices that are borrowed for as long as this call lasts.
            let sent = unsafe { libc::sendmmsg(fd.as_raw_fd(), pointer, len, libc::MSG_DONTWAIT) };
            check(sent).map(|sent| sent.cast_unsigned() as usize)
        }
        Mode::Single => one_by_one(headers, |header| {
            // SAFETY: the header describes slices that are borrowed for as long as this call lasts.
            unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header.msg_hdr, libc::MSG_DONTWAIT) }
        }),
    }
}

/// What recvmmsg and sendmmsg do, by a call for each message: stops at the first failure and tells it if it is the first
/// message's.
fn one_by_one(
    headers: &mut [libc::mmsghdr],
    mut call: impl FnMut(&mut libc::mmsghdr) -> libc::ssize_t,
) -> io::Result<usize> {
    for (done, header) in headers.iter_mut().enumerate() {
        match c_uint::try_from(call(header)) {
            Ok(len) => header.msg_len = len,
            Err(_) if done == 0 => return Err(io::Error::last_os_error()),
            Err(_) => return Ok(done),
        }
    }
    Ok(headers.len())
}

/// The headers of a burst, as the kernel wants them.
struct Headers {
    messages: [libc::mmsghdr; BURST],
    payloads: [libc::iovec; BURST],
}

impl Headers {
    fn new() -> Self {
        // SAFETY: a message header of zeros is an empty one.
        let messages = unsafe { zeroed() };
        Self { messages, payloads: [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BURST] }
    }

    /// Points the headers to `messages`, as many as there is room for. Returns how many.
    fn fill<'a>(&mut self, messages: impl Iterator<Item = Message<'a>>) -> usize {
        let mut count = 0;
        for ((header, payload), message) in self.messages.iter_mut().zip(&mut self.payloads).zip(messages) {
            payload.iov_base = message.payload.as_mut_ptr().cast();
            payload.iov_len = message.payload.len();
            let header = &mut header.msg_hdr;
            // A connected socket wants no name at all.
            header.msg_name = if message.name.is_empty() { ptr::null_mut() } else { message.name.as_mut_ptr().cast() };
            header.msg_namelen = length(message.name.len());
            header.msg_iov = ptr::from_mut(payload);
            header.msg_iovlen = 1;
            header.msg_control = message.control.as_mut_ptr().cast();
            header.msg_controllen = message.control.len();
            count += 1;
        }
        count
    }
}

fn length(bytes: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(bytes).unwrap_or(libc::socklen_t::MAX)
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
