//! Calls of senders that give no id: the same body within ten minutes is the same delivery, later it is a new one.

use std::collections::HashMap;

use cutover_events::{Digest, HookId, Stamp};
use parking_lot::Mutex;

/// For how long the same body counts as sent again, in ms: longer than any sender repeats by itself at short notice,
/// shorter than the time after which a person means it anew.
pub(super) const WINDOW_MS: u64 = 10 * 60 * 1000;

/// Bodies that are remembered, a count: 100 bytes each, so 400 KiB.
const MAX_REMEMBERED: usize = 4096;

/// The ids that bodies without one were given.
#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<(HookId, Digest), (u64, String)>>);

impl Recent {
    /// The id for a body: the one that it had within the window, otherwise one that holds digest, boot and the window of
    /// the monotonic clock, so that a restart in between gives the same one in most cases.
    pub(super) fn sender_id(&self, hook: HookId, body: Digest, now: Stamp) -> String {
        let mut seen = self.0.lock();
        if let Some((since, id)) = seen.get(&(hook, body))
            && now.mono_ms.saturating_sub(*since) < WINDOW_MS
        {
            return id.clone();
        }
        if seen.len() >= MAX_REMEMBERED {
            seen.retain(|_, (since, _)| now.mono_ms.saturating_sub(*since) < WINDOW_MS);
        }
        if seen.len() >= MAX_REMEMBERED {
            seen.clear();
        }
        let boot = hex::encode(&now.boot.0[..4]);
        let id = format!("sha256:{body}@{boot}.{}", now.mono_ms / WINDOW_MS);
        seen.insert((hook, body), (now.mono_ms, id.clone()));
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_events::BootId;

    fn at(minutes: u64, boot: u8) -> Stamp {
        Stamp { wall_ms: 0, boot: BootId([boot; 16]), mono_ms: minutes * 60_000 }
    }

    #[test]
    fn the_same_body_is_the_same_delivery_for_ten_minutes() {
        let recent = Recent::default();
        let (hook, body) = (HookId([1; 16]), Digest::of(b"x"));
        let first = recent.sender_id(hook, body, at(8, 1));
        assert!(first.starts_with(&format!("sha256:{body}@01010101.")), "{first}");
        assert_eq!(recent.sender_id(hook, body, at(17, 1)), first);
        assert_ne!(recent.sender_id(hook, body, at(19, 1)), first);
        assert_ne!(recent.sender_id(hook, Digest::of(b"y"), at(8, 1)), first);
        assert_eq!(Recent::default().sender_id(hook, body, at(9, 1)), first, "after a restart of the engine");
        assert_ne!(Recent::default().sender_id(hook, body, at(8, 2)), first, "after a boot");
    }

    #[test]
    fn memory_is_bounded() {
        let recent = Recent::default();
        for number in 0..10_000_u32 {
            recent.sender_id(HookId([1; 16]), Digest::of(&number.to_le_bytes()), at(1, 1));
        }
        assert!(recent.0.lock().len() <= MAX_REMEMBERED);
    }
}
