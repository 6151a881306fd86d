//! What the benches of the log share: events as they come from a forge, lines as scripts read them.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has nothing to tell")]

use std::sync::Arc;
use std::time::Duration;

use cutover::store::{Append, Expected, Log};
use cutover_events::delivery::{Change, ChangeKind, DeliveryReceived};
use cutover_events::{Actor, Cause, DeliveryId, Digest, HookId, Key, StreamId};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Whether each append carries an idempotency key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// None does.
    Without,
    /// Each does, a new one.
    Each,
}

/// A delivery of a push, some 300 bytes in the stored form.
pub fn delivery(writer: u64, number: u64, keys: Keys) -> Append {
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
    let received = DeliveryReceived { delivery, hook, sender_id, event, body: digest, items: vec![change], secret: 0 };
    Append {
        stream: StreamId::Hook(hook),
        expected: Expected::Any,
        events: vec![received.into()],
        cause: Cause::Delivery(DeliveryId(id)),
        actor: Actor::Hook(hook),
        key,
    }
}

/// Appends with so many writers at once, for so long; answers with events per second.
pub async fn append_for(log: &Arc<impl Log>, writers: u64, time: Duration, keys: Keys) -> f64 {
    let begun = Instant::now();
    let salt = log.head().position << 20;
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let log = log.clone();
        tasks.spawn(async move {
            let mut number = salt;
            while begun.elapsed() < time {
                log.append(delivery(writer, number, keys)).await.unwrap();
                number += 1;
            }
            number - salt
        });
    }
    let events: u64 = tasks.join_all().await.iter().sum();
    events as f64 / begun.elapsed().as_secs_f64()
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a figure must be: at least, or at most.
#[derive(Clone, Copy)]
pub enum Bound {
    /// At least must and goal.
    AtLeast(f64, f64),
    /// At most must and goal.
    AtMost(f64, f64),
}

/// One figure, and what it is compared with.
pub struct Figure<'a> {
    pub bench: &'a str,
    pub metric: &'a str,
    pub value: f64,
    pub unit: &'a str,
    /// What it was measured beside, and how that did.
    pub peer: Option<(&'a str, f64)>,
    pub bound: Bound,
}

impl Figure<'_> {
    /// Prints it as one line of JSON; says whether what must be met is met. With a peer the ratio counts.
    pub fn print(&self) -> bool {
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

/// Resident memory of this process, bytes.
pub fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
