//! Arrays of bytes in eights: the stored form is the bare bytes either way, asked for one by one they are what decoding
//! takes longest for.
//!
//! To serde an array is a tuple of its elements, each of which bincode is asked for alone. Eight bytes at once that it
//! takes as they are, least significant first, are its `f64`; the bits of one survive being moved. Formats for people
//! see the bytes one by one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serializer};

/// Bytes that are asked for at once.
const EIGHT: usize = size_of::<f64>();

pub(crate) fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
    const { assert!(N.is_multiple_of(EIGHT)) };
    if serializer.is_human_readable() {
        let mut tuple = serializer.serialize_tuple(N)?;
        bytes.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        return tuple.end();
    }
    let mut tuple = serializer.serialize_tuple(N / EIGHT)?;
    let (eights, _) = bytes.as_chunks::<EIGHT>();
    eights.iter().try_for_each(|eight| tuple.serialize_element(&f64::from_le_bytes(*eight)))?;
    tuple.end()
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    const { assert!(N.is_multiple_of(EIGHT)) };
    if deserializer.is_human_readable() {
        return deserializer.deserialize_tuple(N, Elements::<u8, N>(PhantomData));
    }
    deserializer.deserialize_tuple(N / EIGHT, Elements::<f64, N>(PhantomData))
}

/// What an array is made of.
trait Element: for<'de> Deserialize<'de> {
    /// Puts it where it belongs.
    fn put(self, into: &mut [u8]);
}

impl Element for u8 {
    fn put(self, into: &mut [u8]) {
        into.copy_from_slice(&[self]);
    }
}

impl Element for f64 {
    fn put(self, into: &mut [u8]) {
        into.copy_from_slice(&self.to_le_bytes());
    }
}

/// An array of `N` bytes from elements of this type.
struct Elements<T, const N: usize>(PhantomData<T>);

impl<'de, T: Element, const N: usize> Visitor<'de> for Elements<T, N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<[u8; N], A::Error> {
        let mut bytes = [0; N];
        for (index, into) in bytes.chunks_exact_mut(size_of::<T>()).enumerate() {
            let element: Option<T> = elements.next_element()?;
            element.ok_or_else(|| A::Error::invalid_length(index, &"all of its bytes"))?.put(into);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::{decode, encode};
    use crate::{DeploymentId, Digest};

    /// Every pattern that a float could take for something else: infinities, quiet and signalling NaN, minus zero.
    const ODD: [u64; 7] =
        [0x7ff0 << 48, 0xfff0 << 48, 0x7ff8 << 48, (0x7ff0 << 48) | 1, (0xfff0 << 48) | 1, 1 << 63, u64::MAX];

    #[test]
    fn the_stored_form_is_the_bytes_whatever_they_are() {
        for (one, other) in ODD.into_iter().flat_map(|one| ODD.map(|other| (one, other))) {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&one.to_le_bytes());
            id[8..].copy_from_slice(&other.to_le_bytes());
            assert_eq!(encode(&DeploymentId(id)).unwrap(), id);
            assert_eq!(decode::<DeploymentId>(&id).unwrap(), DeploymentId(id));
        }
        let bytes: [u8; 32] = std::array::from_fn(|index| index as u8 * 7 + 1);
        assert_eq!(encode(&Digest(bytes)).unwrap(), bytes);
        assert_eq!(decode::<Digest>(&bytes).unwrap(), Digest(bytes));
        assert!(decode::<Digest>(&bytes[..31]).is_err());
    }
}
