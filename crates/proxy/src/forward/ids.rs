//! Identifiers of requests, and of the serving process.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;

use http::HeaderValue;

use crate::moment;

/// Alphabet of ULIDs, in lower case as all identifiers are written.
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

thread_local! {
    static STATE: Cell<u128> = Cell::new(seed());
}

/// Random bytes of the kernel; without them, what differs between two processes.
fn seed() -> u128 {
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    let fallback = u128::from(moment::micros()) << 64 | u128::from(std::process::id());
    // An even state would halve the period.
    if read.is_ok() { u128::from_le_bytes(bytes) | 1 } else { fallback | 1 }
}

/// 32 hexadecimal digits, unlikely to come twice; not secret.
pub(super) fn request_id() -> HeaderValue {
    let state = STATE.get().wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645);
    STATE.set(state);
    let mixed = state ^ (state >> 64);
    let mut text = [0; 32];
    for (at, place) in text.iter_mut().enumerate() {
        *place = b"0123456789abcdef"[usize::try_from(mixed >> (at * 4) & 15).unwrap_or(0)];
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("unknown"))
}

/// `rtr_` and a ULID: the identity of a serving process, new at each start.
#[must_use]
pub fn router_boot() -> String {
    let random = seed() & ((1 << 80) - 1);
    let mut rest = u128::from(moment::wall_ms()) << 80 | random;
    let mut text = [0; 26];
    for place in text.iter_mut().rev() {
        *place = CROCKFORD[usize::try_from(rest & 31).unwrap_or(0)];
        rest >>= 5;
    }
    format!("rtr_{}", String::from_utf8_lossy(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_have_their_form() {
        let ids: std::collections::BTreeSet<_> =
            (0..10_000).map(|_| request_id().to_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 10_000);
        let boot = router_boot();
        assert_eq!(boot.len(), 30);
        assert!(boot.starts_with("rtr_0") && boot != router_boot());
    }
}
