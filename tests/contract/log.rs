//! The contract of the log: journal and sled, and the twin in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use cutover::clock::Clock;
use cutover::store::{Append, AppendError, Expected, Log, MemoryLog, Store};
use cutover_events::engine::TokenAdded;
use cutover_events::{Actor, Cause, Digest, Event, Key, Sealed, StreamId, TokenId, WorkloadId, codec};
use tokio::task::JoinSet;

const STREAM: StreamId = StreamId::Workload(WorkloadId([7; 16]));

/// Runs the same test on both.
macro_rules! contract {
    ($($name:ident)*) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_disk() {
                let dir = tempfile::tempdir().unwrap();
                let (store, _) = super::Store::open(dir.path(), super::Clock::system(), |_| Ok(())).await.unwrap();
                super::$name(std::sync::Arc::new(store)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_memory() {
                let log = super::MemoryLog::begin(super::Clock::system()).await.unwrap();
                super::$name(std::sync::Arc::new(log)).await;
            }
        }
    )*};
}

contract! {
    the_first_commit_mints_the_id
    what_is_appended_is_read
    a_stream_is_read_from_the_middle_of_a_commit
    an_expected_version_is_held_to
    one_of_many_racing_appends_takes_a_version
    a_key_writes_once
    fifty_duplicates_at_once_write_once
    a_key_counts_within_its_stream
    what_a_client_asked_for_is_no_part_of_its_key
    subscribers_see_the_head_move
    the_chain_runs_over_the_stored_bytes
    what_is_too_large_is_refused
}

fn event(number: u64) -> Event {
    let name = format!("token {number}");
    TokenAdded { token: TokenId([1; 16]), hash: Digest::of(name.as_bytes()), name }.into()
}

fn append(stream: StreamId, expected: Expected, events: u64) -> Append {
    let events = (0..events).map(event).collect();
    Append { stream, expected, events, cause: Cause::Person, actor: Actor::Engine, key: None }
}

fn keyed(stream: StreamId, key: &Key) -> Append {
    Append { key: Some(key.clone()), ..append(stream, Expected::Any, 1) }
}

fn client(key: &str, request: u8) -> Key {
    Key::Client { owner: "local:0".into(), key: key.into(), request: Digest([request; 32]) }
}

async fn all(log: &Arc<impl Log>) -> Vec<Sealed> {
    log.read_all(1, usize::MAX).await.unwrap()
}

async fn the_first_commit_mints_the_id(log: Arc<impl Log>) {
    let first = log.read_all(1, 1).await.unwrap().remove(0).commit;
    assert_eq!((first.position, first.stream, first.version), (1, StreamId::Engine, 1));
    let Event::LogBegun(begun) = &first.events[0] else { panic!("{:?}", first.events) };
    assert_eq!(begun.log, log.log_id());
    assert_eq!(log.head().position, 1);
}

async fn what_is_appended_is_read(log: Arc<impl Log>) {
    let first = log.append(append(STREAM, Expected::Any, 3)).await.unwrap();
    assert_eq!((first.position, first.version), (4, 3));
    let second = log.append(append(StreamId::Registry, Expected::Exact(0), 1)).await.unwrap();
    assert_eq!((second.position, second.version), (5, 1));
    assert_eq!((log.head().position, log.head().chain), (5, second.chain));
    let commits = all(&log).await;
    assert_eq!(commits.iter().map(|c| c.commit.position).collect::<Vec<_>>(), [1, 2, 5]);
    assert_eq!(commits[1].commit.events, (0..3).map(event).collect::<Vec<_>>());
    assert_eq!((commits[1].commit.at, commits[1].chain), (first.at, first.chain));
    assert_eq!(log.read_all(3, 1).await.unwrap()[0], commits[1], "a commit that holds the position is given whole");
    assert_eq!(log.read_all(5, 9).await.unwrap().len(), 1);
    assert!(log.read_all(6, 9).await.unwrap().is_empty());
    assert_eq!(log.read(STREAM, 1, 9).await.unwrap(), [commits[1].clone()]);
    assert!(log.read(StreamId::Workload(WorkloadId([8; 16])), 1, 9).await.unwrap().is_empty());
}

async fn a_stream_is_read_from_the_middle_of_a_commit(log: Arc<impl Log>) {
    for _ in 0..4 {
        log.append(append(STREAM, Expected::Any, 3)).await.unwrap();
        log.append(append(StreamId::Registry, Expected::Any, 1)).await.unwrap();
    }
    let versions = |commits: Vec<Sealed>| commits.iter().map(|c| c.commit.version).collect::<Vec<_>>();
    assert_eq!(versions(log.read(STREAM, 1, 99).await.unwrap()), [1, 4, 7, 10]);
    assert_eq!(versions(log.read(STREAM, 3, 99).await.unwrap()), [1, 4, 7, 10]);
    assert_eq!(versions(log.read(STREAM, 4, 99).await.unwrap()), [4, 7, 10]);
    assert_eq!(versions(log.read(STREAM, 5, 2).await.unwrap()), [4, 7]);
    assert_eq!(versions(log.read(STREAM, 12, 99).await.unwrap()), [10]);
    assert!(log.read(STREAM, 13, 99).await.unwrap().is_empty());
}

async fn an_expected_version_is_held_to(log: Arc<impl Log>) {
    assert_eq!(log.append(append(STREAM, Expected::Exact(0), 2)).await.unwrap().version, 2);
    for wrong in [0, 1, 3] {
        let refused = log.append(append(STREAM, Expected::Exact(wrong), 1)).await.unwrap_err();
        assert!(matches!(refused, AppendError::Conflict { actual: 2 }), "{refused:?}");
    }
    assert_eq!(log.append(append(STREAM, Expected::Exact(2), 1)).await.unwrap().version, 3);
    assert_eq!(log.head().position, 4);
}

async fn one_of_many_racing_appends_takes_a_version(log: Arc<impl Log>) {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let log = log.clone();
        tasks.spawn(async move {
            let (mut taken, mut version) = (Vec::new(), 0);
            while taken.len() < 25 {
                match log.append(append(STREAM, Expected::Exact(version), 1)).await {
                    Ok(receipt) => taken.push(receipt.version),
                    Err(AppendError::Conflict { actual }) => version = actual,
                    Err(other) => panic!("{other}"),
                }
            }
            taken
        });
    }
    let versions: Vec<u64> = tasks.join_all().await.concat();
    assert_eq!(versions.iter().copied().collect::<BTreeSet<_>>(), (1..=200).collect(), "each version went to one");
    let read: Vec<u64> = log.read(STREAM, 1, 999).await.unwrap().iter().map(|c| c.commit.version).collect();
    assert_eq!(read, (1..=200).collect::<Vec<_>>());
}

async fn a_key_writes_once(log: Arc<impl Log>) {
    let key = client("once", 1);
    assert_eq!(log.find(STREAM, &key).await.unwrap(), None);
    let first = log.append(keyed(STREAM, &key)).await.unwrap();
    let refused = log.append(keyed(STREAM, &key)).await.unwrap_err();
    let AppendError::Duplicate { original } = refused else { panic!("{refused:?}") };
    assert_eq!((original.commit.position, original.chain), (first.position, first.chain));
    let late = Append { expected: Expected::Exact(17), ..keyed(STREAM, &key) };
    assert!(matches!(log.append(late).await, Err(AppendError::Duplicate { .. })), "the key counts before the version");
    assert_eq!(log.find(STREAM, &key).await.unwrap().map(|found| found.commit), Some(original.commit));
    assert_eq!(log.head().position, 2);
}

async fn fifty_duplicates_at_once_write_once(log: Arc<impl Log>) {
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let log = log.clone();
        tasks.spawn(async move {
            match log.append(keyed(STREAM, &client("storm", 1))).await {
                Ok(receipt) => (receipt.position, true),
                Err(AppendError::Duplicate { original }) => {
                    assert!(log.head().position >= original.commit.last_position(), "answered before it was durable");
                    (original.commit.position, false)
                }
                Err(other) => panic!("{other}"),
            }
        });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|(_, wrote)| *wrote).count(), 1);
    assert!(answers.iter().all(|(position, _)| *position == 2), "{answers:?}");
    assert_eq!(all(&log).await.len(), 2);
}

async fn a_key_counts_within_its_stream(log: Arc<impl Log>) {
    let key = Key::Revision { revision: 1 };
    let other = StreamId::Workload(WorkloadId([8; 16]));
    log.append(keyed(STREAM, &key)).await.unwrap();
    assert_eq!(log.find(other, &key).await.unwrap(), None);
    assert_eq!(log.append(keyed(other, &key)).await.unwrap().position, 3);
}

async fn what_a_client_asked_for_is_no_part_of_its_key(log: Arc<impl Log>) {
    log.append(keyed(STREAM, &client("same", 1))).await.unwrap();
    let refused = log.append(keyed(STREAM, &client("same", 2))).await.unwrap_err();
    let AppendError::Duplicate { original } = refused else { panic!("{refused:?}") };
    assert_eq!(original.commit.key, Some(client("same", 1)), "who asks can see that another wish was made");
}

async fn subscribers_see_the_head_move(log: Arc<impl Log>) {
    let mut heads = log.subscribe();
    heads.mark_unchanged();
    let receipt = log.append(append(STREAM, Expected::Any, 2)).await.unwrap();
    heads.changed().await.unwrap();
    assert_eq!(heads.borrow_and_update().position, receipt.position);
    let new = log.read_all(receipt.position, 9).await.unwrap();
    assert_eq!(new.len(), 1, "what the head tells of can be read");
}

async fn the_chain_runs_over_the_stored_bytes(log: Arc<impl Log>) {
    for count in [1, 4, 2] {
        log.append(append(STREAM, Expected::Any, count)).await.unwrap();
    }
    let mut chain = Digest::default();
    for sealed in all(&log).await {
        chain = codec::chain(chain, &sealed.body);
        assert_eq!(sealed.chain, chain);
        assert_eq!(codec::decode_commit(&sealed.body).as_ref(), Ok(&sealed.commit));
        for position in sealed.commit.position..=sealed.commit.last_position() {
            assert_eq!(log.chain_at(position).await.unwrap(), Some(chain), "position {position}");
        }
    }
    assert_eq!((log.head().chain, log.head().position), (chain, 8));
    assert_eq!(log.chain_at(9).await.unwrap(), None);
    assert_eq!(log.chain_at(0).await.unwrap(), None);
}

async fn what_is_too_large_is_refused(log: Arc<impl Log>) {
    let large = |bytes: usize| {
        Event::from(TokenAdded { name: "x".repeat(bytes), token: TokenId([1; 16]), hash: Digest::default() })
    };
    let with = |events: Vec<Event>| Append { events, ..append(STREAM, Expected::Any, 1) };
    for events in [vec![large(codec::MAX_EVENT_BYTES + 1)], vec![large(60_000); 20], Vec::new()] {
        let refused = log.append(with(events)).await.unwrap_err();
        assert!(matches!(refused, AppendError::Codec(_)), "{refused:?}");
    }
    log.append(with(vec![large(60_000); 17])).await.unwrap();
    assert_eq!(log.read(STREAM, 1, 9).await.unwrap()[0].commit.events.len(), 17);
}
