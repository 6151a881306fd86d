//! `cutover-explorer`: walks every interleaving of the real protocol (`evolve`, `decide`, `next`, `plan` of
//! `cutover-domain` over the world of `cutover-world`) with a budget of faults, and checks the invariants after each
//! move. There is no second model here.

mod budget;
mod digest;
mod engine;
mod ids;
mod lane;
mod log;
mod moves;
#[cfg(feature = "mutants")]
mod mutants;
mod request;
mod rest;
mod run;
mod scenario;
mod scene;
mod trace;
mod visited;
mod walk;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use budget::Budget;

/// Walks every interleaving of the protocol with a budget of faults; the last line is `ok …` or `short …`.
#[derive(Parser)]
#[command(version)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
struct Cli {
    /// Faults that a history may hold: crash=2,late=1 (crash, late, flap, rm, lost, router, exit, daemon, reboot, tail,
    /// stall, cut, hand), or six figures for the first six. Several budgets: several times.
    #[arg(long, value_parser = Budget::parse)]
    budget: Vec<Budget>,
    /// Only scenarios whose name holds this.
    #[arg(long)]
    only: Option<String>,
    /// The budgets of the gate to exhaustion, then the nightly one up to the limit of moves.
    #[arg(long)]
    long: bool,
    /// One part of several, `I/N`: every N-th case, beginning with the I-th.
    #[arg(long, value_parser = run::part)]
    part: Option<(usize, usize)>,
    /// Stops each case after so many moves.
    #[arg(long)]
    moves: Option<u64>,
    /// A history of more moves than this goes round and round, and is told.
    #[arg(long, default_value_t = 5_000)]
    depth: usize,
    /// Cases that are walked at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Switches each rule of the protocol off and looks for the history that breaks a sentence.
    #[cfg(feature = "mutants")]
    #[arg(long)]
    mutants: bool,
    /// Prints the names of the scenarios.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.list {
        scenario::ALL.iter().for_each(|scenario| println!("{}", scenario.name));
        return ExitCode::SUCCESS;
    }
    #[cfg(feature = "mutants")]
    if cli.mutants {
        return mutants::all(&cli);
    }
    run::all(&cli)
}
