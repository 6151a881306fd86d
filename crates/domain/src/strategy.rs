//! How a workload is replaced, and why so: said in one place, for plans, for the timeline and for people who ask.

use cutover_events::plan::{Plan, Strategy, Why};
use cutover_events::workload::{Access, Source, SourceKind, Spec};

/// The words of `deploy_strategy`.
pub const WORDS: &[(&str, Strategy)] = &[("recreate", Strategy::Recreate), ("blue-green", Strategy::BlueGreen)];

/// A strategy, and why it is the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// How it is replaced.
    pub strategy: Strategy,
    /// Why so.
    pub why: Why,
}

/// What an empty or missing `deploy_strategy` means.
#[must_use]
pub const fn default_of(kind: SourceKind) -> Strategy {
    match kind {
        SourceKind::Image => Strategy::BlueGreen,
        SourceKind::Dockerfile | SourceKind::Static | SourceKind::Compose => Strategy::Recreate,
    }
}

/// The word of a strategy.
#[must_use]
pub const fn word(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::BlueGreen => "blue-green",
        Strategy::Recreate => "recreate",
    }
}

/// How a spec is replaced: what is asked for, unless one container at a time must have something; without a word the
/// default of the source.
#[must_use]
pub fn effective(spec: &Spec) -> Choice {
    let recreate = |why| Choice { strategy: Strategy::Recreate, why };
    let asked = WORDS.iter().find(|(word, _)| *word == spec.source.deploy_strategy()).map(|(_, strategy)| *strategy);
    if asked == Some(Strategy::Recreate) {
        return recreate(Why::Asked);
    }
    if let Some(why) = forced(spec) {
        return recreate(why);
    }
    chosen(asked, spec.source.kind())
}

/// What was asked for, or the default of the source, where nothing forces another one.
#[must_use]
pub const fn chosen(asked: Option<Strategy>, kind: SourceKind) -> Choice {
    match asked {
        Some(strategy) => Choice { strategy, why: Why::Asked },
        None => Choice { strategy: default_of(kind), why: Why::Default },
    }
}

/// The same choice beside what runs: nothing starts beside something that only one container may have.
#[must_use]
pub fn beside(choice: Choice, running: Option<&Plan>) -> Choice {
    let exclusive = running.is_some_and(|plan| plan.template.exclusive().is_some());
    match choice.strategy {
        Strategy::BlueGreen if exclusive => Choice { strategy: Strategy::Recreate, why: Why::Blue },
        Strategy::BlueGreen | Strategy::Recreate => choice,
    }
}

/// What one container at a time must have, and so forces `recreate`.
#[must_use]
pub fn forced(spec: &Spec) -> Option<Why> {
    let storage = matches!(&spec.source, Source::Static(site) if site.storage.is_some());
    if storage {
        return Some(Why::Storage);
    }
    if spec.mounts.iter().any(|mount| mount.access == Access::Exclusive) {
        return Some(Why::Volume);
    }
    (!spec.ports.is_empty()).then_some(Why::Port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    fn of(text: &str) -> Choice {
        let text = format!("workloads.w = {{ {text} }}");
        effective(&file::read("f.toml", text.as_bytes()).unwrap_or_else(|bad| panic!("{bad}")).remove(0).spec)
    }

    #[test]
    fn a_file_without_the_key_means_the_default_of_its_source() {
        let defaults = [
            ("image = \"x\"", Strategy::BlueGreen),
            ("dockerfile = \".\"", Strategy::Recreate),
            ("static = \".\"", Strategy::Recreate),
            ("compose = \"compose.yml\"", Strategy::Recreate),
        ];
        for (source, strategy) in defaults {
            let expected = Choice { strategy, why: Why::Default };
            assert_eq!(of(source), expected, "{source}");
            assert_eq!(of(&format!("{source}, strategy = \"\"")), expected, "{source}");
        }
    }

    #[test]
    fn what_one_container_must_have_goes_before_the_default_and_after_the_word_recreate() {
        let cases = [
            ("image = \"x\", volumes = [\"v:/v\"]", Why::Volume),
            ("image = \"x\", ports = [\"1:1\"]", Why::Port),
            ("image = \"x\", volumes = [\"v:/v\"], strategy = \"recreate\"", Why::Asked),
            ("dockerfile = \".\", volumes = [\"v:/v\"]", Why::Volume),
            ("dockerfile = \".\", strategy = \"recreate\"", Why::Asked),
            ("static = { path = \".\", mode = \"deno\", storage = \"s:/s\" }", Why::Storage),
            (
                "static = { path = \".\", mode = \"deno\", storage = \"s:/s\", deploy_strategy = \"blue-green\" }",
                Why::Storage,
            ),
        ];
        for (text, why) in cases {
            assert_eq!(of(text), Choice { strategy: Strategy::Recreate, why }, "{text}");
        }
        for text in ["dockerfile = \".\", strategy = \"blue-green\"", "static = \".\", strategy = \"blue-green\""] {
            assert_eq!(of(text), Choice { strategy: Strategy::BlueGreen, why: Why::Asked }, "{text}");
        }
    }
}
