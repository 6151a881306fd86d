//! What must hold of the real binary on real Docker.

mod bad;
mod inputs;
mod kill;
mod names;
mod neighbours;
mod people;
mod points;
mod postgres;
mod proxy;
mod pushes;
mod release;
mod scene;
mod shop;
mod sources;
mod swap;

use std::process::ExitCode;

use clap::Subcommand;

use crate::Result;
use crate::report::Verdict;
use crate::stand::{Left, on_stand};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Redeployments under load: no request fails.
    Swap {
        /// How many.
        #[arg(long, default_value_t = 100)]
        n: u32,
    },
    /// `kill -9` of the engine at random instants: every accepted deployment ends once, and as succeeded.
    Kill {
        /// How many.
        #[arg(long, default_value_t = 100)]
        n: u32,
        /// Of the random instants.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// At every named point instead, once each.
        #[arg(long)]
        points: bool,
        #[command(flatten)]
        which: points::Points,
    },
    /// Versions that do not work: blue serves on, a reason is given, nothing is left.
    Bad,
    /// Bad input: one line, the right exit code, no event and no container.
    Inputs,
    /// A real PostgreSQL as an exclusive workload: its data outlives redeployments and kills.
    Postgres {
        /// How many redeployments, and how many kills.
        #[arg(long, default_value_t = 10)]
        n: u32,
    },
    /// A workload calls others of its project by name while they are replaced: no call fails.
    Names {
        /// Deployments of each.
        #[arg(long, default_value_t = 10)]
        n: u32,
    },
    /// Fifty pushes in ten seconds beside a running deployment: one more comes of them, of the newest.
    Pushes,
    /// A release command: once, before anything of the new version is there, left to its end, asked about when nobody knows
    /// how it ended.
    Release,
    /// The proxy is killed during swaps, its table is truncated, and lost: routes come from the log.
    Proxy {
        /// How many swaps it is killed in.
        #[arg(long, default_value_t = 8)]
        n: u32,
    },
    /// People at work on the same Docker: what they do to our containers is seen, told and put right.
    People {
        /// Only what carries this in its name: an action (stop, rename, …), `rm of`, or `host`.
        #[arg(long, value_name = "ACTION")]
        only: Option<String>,
        /// One action of every kind, in less than two minutes.
        #[arg(long, conflicts_with = "only")]
        short: bool,
        /// What runs beside a daemon of its own, whose folder this is.
        #[arg(long, hide = true)]
        inside: Option<std::path::PathBuf>,
    },
    /// A project of a database, a web with a worker and a caller: nothing fails while the web is replaced, and a worker
    /// that fails its gate leaves everything as it was.
    Shop {
        /// Redeployments of the web.
        #[arg(long, default_value_t = 50)]
        n: u32,
    },
    /// Every source with every strategy: deployed, failed, rolled back, superseded, cancelled, killed and torn down while
    /// somebody calls; and what is particular to builds and sites.
    Sources(sources::Which),
    /// Two engines and strangers on one daemon: none notices the others.
    Neighbours,
}

/// Runs one proof; the last line is `ok …` or `short …`.
pub(crate) async fn run(command: Command) -> Result<ExitCode> {
    let (what, (mut verdict, left)) = match command {
        Command::Swap { n } => {
            (format!("prove swap --n {n}"), on_stand(async |stand| swap::prove(&stand, n).await).await?)
        }
        Command::Kill { points: true, which, .. } => {
            (which.told(), on_stand(async |stand| points::prove(&stand, &which).await).await?)
        }
        Command::Kill { n, seed, .. } => (
            format!("prove kill --n {n} --seed {seed}"),
            on_stand(async |stand| kill::prove(&stand, n, seed).await).await?,
        ),
        Command::Bad => ("prove bad".into(), on_stand(async |stand| bad::prove(&stand).await).await?),
        Command::Inputs => ("prove inputs".into(), on_stand(async |stand| inputs::prove(&stand).await).await?),
        Command::Postgres { n } => {
            (format!("prove postgres --n {n}"), on_stand(async |stand| postgres::prove(&stand, n).await).await?)
        }
        Command::Names { n } => {
            (format!("prove names --n {n}"), on_stand(async |stand| names::prove(&stand, n).await).await?)
        }
        Command::Pushes => ("prove pushes".into(), on_stand(async |stand| pushes::prove(&stand).await).await?),
        Command::Release => ("prove release".into(), on_stand(async |stand| release::prove(&stand).await).await?),
        Command::Proxy { n } => {
            (format!("prove proxy --n {n}"), on_stand(async |stand| proxy::prove(&stand, n).await).await?)
        }
        Command::People { inside: Some(folder), .. } => {
            ("prove people --only host".into(), people::inside(&folder).await?)
        }
        Command::People { only, short, inside: None } => people::run(only.as_deref(), short).await?,
        Command::Shop { n } => {
            (format!("prove shop --n {n}"), on_stand(async |stand| shop::prove(&stand, n).await).await?)
        }
        Command::Sources(which) => (which.told(), on_stand(async |stand| sources::prove(&stand, &which).await).await?),
        Command::Neighbours => {
            let both = on_stand(async |one| on_stand(async |two| neighbours::prove(&one, &two).await).await);
            let ((mut verdict, left), outer) = both.await?;
            nothing_left(&mut verdict, &left);
            ("prove neighbours".into(), (verdict, outer))
        }
    };
    nothing_left(&mut verdict, &left);
    Ok(verdict.end(&what))
}

fn nothing_left(verdict: &mut Verdict, left: &Left) {
    verdict.same("containers and networks left after the teardown", left.on_docker, 0);
    verdict.same("processes left", left.processes, 0);
}
