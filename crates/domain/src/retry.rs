//! The only place that turns a class of failure into a delay.

use crate::observed::{Effect, Trouble};

/// First delay after an effect that did not happen, ms: Docker answers most calls within it.
const FIRST_MS: u64 = 50;
/// Longest delay between two tries of one effect, ms: a daemon that comes back is used within it.
const LONGEST_MS: u64 = 5_000;
/// First delay before a registry is asked again for an image that it does not have, ms: a push that is about to end does
/// so within it.
const IMAGE_FIRST_MS: u64 = 2_000;
/// Longest delay between two such questions, ms: registries count them, and a build takes minutes.
const IMAGE_LONGEST_MS: u64 = 30_000;
/// First delay before a repair is tried again, ms (design §4).
const HEAL_FIRST_MS: u64 = 60_000;
/// Longest delay between two repairs, ms (design §4).
const HEAL_LONGEST_MS: u64 = 15 * 60_000;

/// When the effect may be tried again, on the monotonic clock. Whether trying again can help is for the caller to say:
/// what must happen some day is tried again whatever the class, at this pace.
#[must_use]
pub fn next_try(trouble: &Trouble) -> u64 {
    trouble.at_ms.saturating_add(doubled(FIRST_MS, trouble.tries, LONGEST_MS))
}

/// When a registry may be asked again for an image that it does not have yet, on the monotonic clock.
#[must_use]
pub fn image_again(trouble: &Trouble) -> u64 {
    trouble.at_ms.saturating_add(doubled(IMAGE_FIRST_MS, trouble.tries, IMAGE_LONGEST_MS))
}

/// When an effect that nobody waits for may be tried, after the newest trouble. Another effect's trouble holds it up for
/// a moment too: two that fail in turn would each wipe out what is remembered of the other, and never wait.
#[must_use]
pub fn not_before(trouble: &Trouble, effect: Effect) -> u64 {
    if trouble.effect == effect { next_try(trouble) } else { soonest(trouble) }
}

/// When anything else may be tried after a trouble.
#[must_use]
pub fn soonest(trouble: &Trouble) -> u64 {
    trouble.at_ms.saturating_add(FIRST_MS)
}

/// How long after `refusals` of the router's probe in a row the gate is asked again, ms.
#[must_use]
pub fn gate_delay(refusals: u8) -> u64 {
    doubled(FIRST_MS, refusals.into(), LONGEST_MS)
}

/// How long after `failed` repairs in a row the next one waits, ms.
#[must_use]
pub fn heal_delay(failed: u32) -> u64 {
    if failed == 0 { 0 } else { doubled(HEAL_FIRST_MS, failed, HEAL_LONGEST_MS) }
}

fn doubled(first: u64, tries: u32, longest: u64) -> u64 {
    first.saturating_mul(1 << tries.saturating_sub(1).min(20)).min(longest)
}

#[cfg(test)]
mod tests {
    use cutover_events::DeploymentId;
    use cutover_events::deployment::ReasonKind;

    use super::*;
    use crate::observed::{Class, Targets};

    fn trouble(effect: Effect, tries: u32) -> Trouble {
        let (class, kind) = (Class::Transient, ReasonKind::Unavailable);
        Trouble { effect, class, tries, at_ms: 1_000, kind, text: "no".into() }
    }

    #[test]
    fn an_effect_is_tried_again_later_each_time_and_another_one_soon() {
        let (fence, put) = (Effect::Fence { generation: 1 }, Effect::Put { to: Targets::Active, generation: 1 });
        assert_eq!(not_before(&trouble(fence, 1), fence), 1_050);
        assert_eq!(not_before(&trouble(fence, 3), fence), 1_200);
        assert_eq!(not_before(&trouble(fence, 99), fence), 6_000);
        assert_eq!(not_before(&trouble(fence, 99), put), 1_050);
    }

    #[test]
    fn a_registry_is_asked_for_an_image_less_and_less_often() {
        let asked = |tries| image_again(&trouble(Effect::Resolve(DeploymentId([1; 16])), tries));
        assert_eq!([asked(1), asked(2), asked(4), asked(5), asked(99)], [3_000, 5_000, 17_000, 31_000, 31_000]);
    }

    #[test]
    fn repairs_wait_longer_up_to_a_quarter_of_an_hour() {
        assert_eq!(heal_delay(0), 0);
        assert_eq!(heal_delay(1), 60_000);
        assert_eq!(heal_delay(3), 240_000);
        assert_eq!(heal_delay(60), HEAL_LONGEST_MS);
    }
}
