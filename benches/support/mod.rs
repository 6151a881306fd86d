//! What the benches of the log share: events as they come from a forge, lines as scripts read them.

use cutover::store::{Append, Expected};
use cutover_events::delivery::{Change, ChangeKind, DeliveryReceived};
use cutover_events::{Actor, Cause, DeliveryId, Digest, HookId, Key, StreamId};

/// Whether each append carries an idempotency key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// None does.
    Without,
    /// Each does, a new one.
    Each,
}

/// A delivery of a push, some 300 bytes in the stored form.
pub(crate) fn delivery(writer: u64, number: u64, keys: Keys) -> Append {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&writer.to_le_bytes());
    id[8..].copy_from_slice(&number.to_le_bytes());
    let digest = Digest::of(&id);
    let hook = HookId([writer as u8; 16]);
    let sender_id = hex::encode(&digest.0[..16]);
    let change = Change {
        kind: ChangeKind::Branch,
        repo: "acme/shop-frontend".into(),
        reference: "refs/heads/main".into(),
        sha: hex::encode(&digest.0[..20]),
        image: String::new(),
        deleted: false,
    };
    let event = "push".into();
    let key = (keys == Keys::Each).then(|| Key::Delivery { hook, sender_id: sender_id.clone() });
    let delivery = DeliveryId(id);
    let received = DeliveryReceived {
        delivery,
        hook,
        sender_id,
        event,
        body: digest,
        items: vec![change],
        secret: 0,
        lists: Vec::new(),
    };
    Append {
        stream: StreamId::Hook(hook),
        expected: Expected::Any,
        events: vec![received.into()],
        cause: Cause::Delivery(DeliveryId(id)),
        actor: Actor::Hook(hook),
        key,
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a figure must be: at least, or at most.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// At least must and goal.
    AtLeast(f64, f64),
    /// At most must and goal.
    AtMost(f64, f64),
}

/// One figure, and what it is compared with.
pub(crate) struct Figure<'a> {
    pub(crate) bench: &'a str,
    pub(crate) metric: &'a str,
    pub(crate) value: f64,
    pub(crate) unit: &'a str,
    /// What it was measured beside, and how that did.
    pub(crate) peer: Option<(&'a str, f64)>,
    pub(crate) bound: Bound,
}

impl Figure<'_> {
    /// Prints it as one line of JSON; says whether what must be met is met. With a peer the ratio counts.
    pub(crate) fn print(&self) -> bool {
        let ratio = self.peer.map(|(_, value)| self.value / value);
        let counts = ratio.unwrap_or(self.value);
        let ((must, goal), met): (_, fn(f64, f64) -> bool) = match self.bound {
            Bound::AtLeast(must, goal) => ((must, goal), |value, bound| value >= bound),
            Bound::AtMost(must, goal) => ((must, goal), |value, bound| value <= bound),
        };
        let line = serde_json::json!({
            "bench": self.bench, "metric": self.metric, "value": self.value, "unit": self.unit,
            "peer": self.peer.map(|(name, _)| name), "peer_value": self.peer.map(|(_, value)| value), "ratio": ratio,
            "must": must, "must_met": met(counts, must), "goal": goal, "goal_met": met(counts, goal),
        });
        println!("{line}");
        met(counts, must)
    }
}
