//! The main job, told while it happens: from a workload file to a push, through a crash, a bad version and a rollback.

mod acts;
mod follow;
mod narrate;
mod yours;

use std::process::ExitCode;

use clap::Args;

use crate::Result;
use crate::stand::on_stand;
use narrate::{plain, title};

/// What the person asked for.
#[derive(Args)]
pub(crate) struct Asked {
    /// An image of yours: deployed too, replaced once under traffic.
    #[arg(long, value_name = "REF")]
    image: Option<String>,
    /// Leaves everything running until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

/// Plays it; ends with 0 when everything held and nothing is left.
pub(crate) async fn run(asked: Asked) -> Result<ExitCode> {
    title("Cutover, from a workload file to a rollback, on this machine's Docker");
    let (failed, left) = on_stand(async |stand| {
        let failed = acts::play(&stand).await?;
        if let Some(image) = &asked.image {
            yours::play(&stand, image).await?;
        }
        if asked.keep {
            acts::keep(&stand);
        } else {
            acts::tear_down(&stand).await?;
        }
        Ok(failed)
    })
    .await?;
    if !asked.keep && left.on_docker + left.processes > 0 {
        return Err(format!("{} things on Docker and {} processes were left", left.on_docker, left.processes).into());
    }
    plain("Removed: containers, networks, processes and the data folder. Images and build output stay.");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
