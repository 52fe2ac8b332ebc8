//! Any bytes as a message: taken apart they are whole again, and a client never takes them for more than they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_ntp::client::Request;
use sidereal_ntp::{Body, HEADER_LEN, Header, KeyId, KeyTable, Mode};

fuzz_target!(|message: &[u8]| {
    let Some(header) = Header::of(message) else { return };
    let Some(version) = header.version() else { return };
    if let Ok(body) = Body::of(message, version) {
        assert_eq!(body.covered().len() + body.mac().len(), message.len());
        let fields: usize = body.fields().map(|field| 4 + field.value.len()).sum();
        assert_eq!(HEADER_LEN + fields, body.covered().len());
    }
    // The request that this would be a reply to, by its origin timestamp.
    let request = Request { version, ..Request::basic(header.origin()) };
    if let Ok(reply) = request.check(message, None) {
        assert_eq!(header.mode(), Mode::Server);
        assert_eq!((reply.receive, reply.transmit), (header.receive(), header.transmit()));
        assert!(!reply.interleaved);
        let keys = KeyTable::parse("1 AES128 ASCII:0123456789abcdef").unwrap_or_default();
        let Some(key) = KeyId::new(1).and_then(|id| keys.get(id)) else { panic!("a key that cannot be read") };
        assert!(request.check(message, Some(key)).is_err(), "a forged MAC was accepted");
    }
});
