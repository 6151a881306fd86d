//! The state of the engine itself: the fold of the stream `engine`.

use std::collections::{BTreeMap, BTreeSet};

use cutover_events::engine::{HeldCause, NetworkMade};
use cutover_events::workload::Provider;
use cutover_events::{Digest, Event, HookId, TokenId, WorkloadId};

/// Hooks, tokens, networks, and what holds the engine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Engine {
    /// Version of the stream.
    pub version: u64,
    /// Docker's id of the daemon that was last worked with.
    pub daemon: String,
    /// By id.
    pub hooks: BTreeMap<HookId, Hook>,
    /// By id: name and hash.
    pub tokens: BTreeMap<TokenId, Token>,
    /// By project.
    pub networks: BTreeMap<String, NetworkMade>,
    /// Why destructive effects are refused, with the text for a person.
    pub held: BTreeMap<HeldCause, String>,
    /// What a person has confirmed since the engine was last held for it.
    pub confirmed: BTreeSet<HeldCause>,
    /// What persons have frozen, workloads by their ids; `None` is everything.
    pub frozen: BTreeMap<Option<WorkloadId>, Freeze>,
}

/// A person is at work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Freeze {
    /// In the words of the person; may be empty.
    pub reason: String,
    /// Version of the event in the engine's stream: who and when.
    pub version: u64,
}

/// A source of deliveries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hook {
    /// As triggers name it.
    pub name: String,
    /// How deliveries are verified.
    pub provider: Provider,
    /// Sealed secrets, newest first, at most two.
    pub secrets: Vec<Digest>,
}

/// A token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// As people know it.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: Digest,
}

impl Engine {
    /// The state after one more event of the stream; events of other streams change nothing but the version.
    pub fn evolve(&mut self, event: &Event) {
        self.version += 1;
        if let Event::EngineStarted(e) = event
            && !e.daemon.is_empty()
        {
            self.daemon.clone_from(&e.daemon);
        }
        if let Event::NetworkMade(e) = event {
            self.networks.insert(e.project.clone(), e.clone());
        }
        if let Event::NetworkRemoved(e) = event {
            self.networks.remove(&e.project);
        }
        if let Event::TokenAdded(e) = event {
            self.tokens.insert(e.token, Token { name: e.name.clone(), hash: e.hash });
        }
        if let Event::TokenRevoked(e) = event {
            self.tokens.remove(&e.token);
        }
        self.evolve_hooks(event);
        self.evolve_held(event);
        self.evolve_frozen(event);
    }

    /// What holds for a workload: its own freeze, or that of everything.
    #[must_use]
    pub fn freeze_of(&self, workload: WorkloadId) -> Option<&Freeze> {
        self.frozen.get(&Some(workload)).or_else(|| self.frozen.get(&None))
    }

    fn evolve_frozen(&mut self, event: &Event) {
        if let Event::Frozen(e) = event {
            self.frozen.insert(e.workload, Freeze { reason: e.reason.clone(), version: self.version });
        }
        if let Event::Thawed(e) = event {
            self.frozen.remove(&e.workload);
        }
    }

    fn evolve_hooks(&mut self, event: &Event) {
        if let Event::HookAdded(e) = event {
            let hook = Hook { name: e.name.clone(), provider: e.provider.clone(), secrets: vec![e.secret] };
            self.hooks.insert(e.hook, hook);
        }
        if let Event::HookRotated(e) = event
            && let Some(hook) = self.hooks.get_mut(&e.hook)
        {
            hook.secrets.insert(0, e.secret);
            hook.secrets.truncate(2);
        }
        if let Event::HookRemoved(e) = event {
            self.hooks.remove(&e.hook);
        }
    }

    fn evolve_held(&mut self, event: &Event) {
        if let Event::Held(e) = event {
            self.held.insert(e.cause, e.text.clone());
            self.confirmed.remove(&e.cause);
        }
        if let Event::Confirmed(e) = event {
            self.held.remove(&e.cause);
            self.confirmed.insert(e.cause);
        }
    }
}
