//! As much of protocol buffers and gRPC as `BuildKit` speaks with us: fields by number, and one message a call.

use bytes::{BufMut, Bytes, BytesMut};

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field<'a> {
    /// A number, or yes and no.
    Number(u64),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => &[],
        }
    }

    pub(super) fn text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub(super) fn is_set(self) -> bool {
        match self {
            Self::Number(number) => number != 0,
            Self::Bytes(bytes) => !bytes.is_empty(),
        }
    }
}

/// The fields of a message with their numbers. What is damaged ends it; kinds of fields that we do not need are passed over.
pub(super) fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        loop {
            let tag = varint(&mut message)?;
            match tag & 7 {
                0 => return Some((tag >> 3, Field::Number(varint(&mut message)?))),
                1 => drop(take(&mut message, 8)?),
                2 => {
                    let length = usize::try_from(varint(&mut message)?).ok()?;
                    return Some((tag >> 3, Field::Bytes(take(&mut message, length)?)));
                }
                5 => drop(take(&mut message, 4)?),
                _ => return None,
            }
        }
    })
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(taken)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(message, 1)?.first()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A message of one field of bytes.
pub(super) fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![(number << 3) | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap_or(0));
    out.extend_from_slice(bytes);
    out
}

/// A message in the frame of gRPC, not compressed.
pub(super) fn frame(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(5 + message.len());
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    out.put_slice(message);
    out.freeze()
}

/// The message in a frame; `None` when it is compressed or cut.
pub(super) fn unframe(framed: &[u8]) -> Option<&[u8]> {
    let (head, rest) = framed.split_at_checked(5)?;
    let length = usize::try_from(u32::from_be_bytes([head[1], head[2], head[3], head[4]])).ok()?;
    (head[0] == 0).then(|| rest.get(..length)).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_read_and_written() {
        let long = vec![7; 300];
        let message =
            [bytes_field(1, b"id"), bytes_field(2, &long), vec![0x18, 0xac, 0x02], vec![0x25, 1, 2, 3, 4]].concat();
        let read: Vec<_> = fields(&message).collect();
        assert_eq!(read, [(1, Field::Bytes(b"id")), (2, Field::Bytes(&long)), (3, Field::Number(300))]);
        assert_eq!(unframe(&frame(b"abc")), Some(&b"abc"[..]));
        assert_eq!(unframe(&[1, 0, 0, 0, 0]), None);
        assert_eq!(unframe(&[0, 0, 0, 0, 9, 1]), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(fields(&bytes).count() <= bytes.len());
            prop_assert!(unframe(&bytes).is_none_or(|message| message.len() + 5 <= bytes.len()));
        }
    }
}
