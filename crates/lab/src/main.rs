//! `cutover-lab`: load, faults and figures for cutover. It drives the real binary on real Docker, counts what fails,
//! and removes everything that it made.

mod bench;
mod docker;
mod hands;
mod hook;
mod http;
mod judge;
mod labels;
mod load;
mod picture;
mod process;
mod prove;
mod quickstart;
mod report;
mod sample;
mod stand;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Why the lab itself cannot go on; what the product does wrong is a verdict, not a failure.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T = ()> = std::result::Result<T, Failure>;

/// Load, faults and figures for cutover.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes an image of the sample program, and prints its reference.
    Image {
        /// Tag of the image and answer of `/version`.
        version: String,
        /// How it misbehaves: NAME=VALUE.
        env: Vec<String>,
    },
    /// Sends mixed traffic and counts what fails; ends with 1 when anything did.
    Load(LoadArgs),
    /// Requires what must hold of an engine that runs; the last line is `ok …` or `short …`.
    Judge {
        /// Its config file.
        #[arg(long)]
        config: std::path::PathBuf,
    },
    /// Measures; the last line is `ok …` or `short …`.
    #[command(subcommand)]
    Bench(bench::Command),
    /// The main job, told while it happens.
    Quickstart(quickstart::Asked),
    /// Makes pictures of terminal texts with colours: each FROM/NAME.….ansi becomes TO/NAME.svg.
    Pictures {
        /// Folder of the texts.
        from: std::path::PathBuf,
        /// Folder of the pictures.
        to: std::path::PathBuf,
    },
    /// Requires something of the real binary on real Docker; the last line is `ok …` or `short …`.
    #[command(subcommand)]
    Prove(prove::Command),
}

#[derive(Args)]
struct LoadArgs {
    /// The proxy.
    #[arg(long)]
    addr: SocketAddr,
    /// `Host` of every request.
    #[arg(long)]
    host: String,
    /// Requests per second.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Ends after that many seconds; otherwise on SIGINT or SIGTERM.
    #[arg(long)]
    secs: Option<u64>,
    /// Websockets held open.
    #[arg(long, default_value_t = 4)]
    websockets: usize,
    /// Event streams held open.
    #[arg(long, default_value_t = 2)]
    sse: usize,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report::progress(&format!("cutover-lab: {error}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(cli.command)).unwrap_or_else(|error| {
        report::progress(&format!("cutover-lab: {error}"));
        ExitCode::FAILURE
    })
}

async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Image { version, env } => {
            let docker = docker::Docker::connect()?;
            docker.ping().await?;
            println!("{}", sample::Version { env, ..sample::Version::good(&version) }.make(&docker).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Load(args) => load(args).await,
        Command::Judge { config } => judge::alone(&config).await,
        Command::Bench(command) => bench::run(command).await,
        Command::Quickstart(asked) => quickstart::run(asked).await,
        Command::Pictures { from, to } => {
            println!("{} pictures in {}", picture::all(&from, &to)?, to.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Prove(command) => prove::run(command).await,
    }
}

async fn load(args: LoadArgs) -> Result<ExitCode> {
    let plan =
        load::Plan { addr: args.addr, host: args.host, rate: args.rate, websockets: args.websockets, sse: args.sse };
    let load = load::Load::start(&plan);
    let limit = async {
        match args.secs {
            Some(secs) => tokio::time::sleep(Duration::from_secs(secs)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = limit => {}
        () = interrupted() => {}
    }
    let summary = load.stop().await;
    report::line(&summary);
    println!("{}", summary.sentence());
    Ok(if summary.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Completes when SIGINT or SIGTERM arrives.
async fn interrupted() {
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return;
    };
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
    }
}
