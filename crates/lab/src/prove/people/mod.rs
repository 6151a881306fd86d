//! People at work on the same Docker: whatever they do to our containers and networks is seen, told and put right.
//!
//! [`actions`] is the table of what is done, one row an action; [`steps`] removes what a deployment has made, and what
//! it replaces, after each of its steps; [`host`] restarts a daemon of its own, and the host.

mod actions;
mod host;
mod scene;
mod steps;

pub(super) use host::inside;

use crate::Result;
use crate::report::Verdict;
use crate::stand::{Left, Stand, on_stand};

/// The part with a daemon of its own, as `--only` names it.
const HOST: &str = "host";

/// Which part, as the command line says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part<'a> {
    /// Every action, and removals at each step.
    Whole,
    /// One action of every kind, and removals at two steps.
    Short,
    /// What carries this in its name.
    Only(&'a str),
}

impl Part<'_> {
    /// Whether a case of this name belongs to it; `brief` ones belong to the short form.
    fn has(self, name: &str, brief: Brief) -> bool {
        match self {
            Self::Whole => true,
            Self::Short => brief == Brief::Yes,
            Self::Only(part) => name.contains(part),
        }
    }
}

/// Whether a case is part of the short form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Brief {
    Yes,
    No,
}

/// Runs what is asked for; what the last line says of it, and what it came to.
#[expect(clippy::fn_params_excessive_bools, reason = "a switch of the command line")]
pub(super) async fn run(only: Option<&str>, short: bool) -> Result<(String, (Verdict, Left))> {
    let part = match only {
        Some(name) => Part::Only(name),
        None if short => Part::Short,
        None => Part::Whole,
    };
    let more = match part {
        Part::Whole => String::new(),
        Part::Short => " --short".into(),
        Part::Only(name) => format!(" --only \"{name}\""),
    };
    let (mut verdict, left) = match part {
        Part::Only(HOST) => (Verdict::default(), Left { on_docker: 0, processes: 0 }),
        _ => on_stand(async |stand| prove(&stand, part).await).await?,
    };
    if matches!(part, Part::Whole | Part::Only(HOST)) {
        host::in_its_own(&mut verdict).await?;
    }
    Ok((format!("prove people{more}"), (verdict, left)))
}

async fn prove(stand: &Stand, part: Part<'_>) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let scene = scene::Crowd::open(stand).await?;
    let played = actions::all(&scene, part, &mut verdict).await? + steps::all(&scene, part, &mut verdict).await?;
    if played == 0 {
        return Err(
            format!("no action has that in its name: {}, rm of green|blue after …, host", actions::names()).into()
        );
    }
    scene.close(&mut verdict).await?;
    Ok(verdict)
}
