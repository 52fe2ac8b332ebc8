//! Reading and writing the fields of messages in network order, within bounds.

use core::fmt;

use crate::identity::{ClockIdentity, PortIdentity};

/// What should be written does not fit into the buffer given, or into a length field of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message does not fit")]
pub struct TooLong;

/// Text with its length before it: at most 255 bytes (PTPText, IEEE 1588-2019 5.3.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// As much of `text` as fits, cut between two characters; `limit` is what the field allows, at most 255 bytes.
    #[must_use]
    pub fn of(text: &'a str, limit: u8) -> Self {
        Self(text.get(..text.floor_char_boundary(usize::from(limit))).unwrap_or_default().as_bytes())
    }

    /// The bytes, which ought to be UTF-8.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn parse(reader: &mut Reader<'a>) -> Option<Self> {
        let length = reader.u8()?;
        reader.slice(usize::from(length)).map(Self)
    }

    pub(crate) fn write(self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        writer.put(&[u8::try_from(self.0.len()).map_err(|_| TooLong)?])?;
        writer.put(self.0)
    }
}

/// What is no UTF-8 in it is shown as replacement characters.
impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.0).fmt(f)
    }
}

/// Fields off the front of a slice; `None` where it ends before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(slice)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn i8(&mut self) -> Option<i8> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn clock(&mut self) -> Option<ClockIdentity> {
        self.array().map(ClockIdentity)
    }

    pub(crate) fn port(&mut self) -> Option<PortIdentity> {
        self.array().map(PortIdentity::from_be_bytes)
    }

    /// What is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Fields one after another into a buffer.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let end = self.len.checked_add(bytes.len()).ok_or(TooLong)?;
        self.buffer.get_mut(self.len..end).ok_or(TooLong)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Writes over `bytes.len()` bytes that were put before, from `at` on.
    pub(crate) fn patch(&mut self, at: usize, bytes: &[u8]) -> Result<(), TooLong> {
        let end = at.checked_add(bytes.len()).ok_or(TooLong)?;
        self.buffer.get_mut(at..end).ok_or(TooLong)?.copy_from_slice(bytes);
        Ok(())
    }

    /// How many bytes were put.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// What was put.
    pub(crate) fn into_written(self) -> &'a [u8] {
        let Self { buffer, len } = self;
        buffer.get(..len).unwrap_or_default()
    }
}
