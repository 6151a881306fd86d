//! An image of the person's own: deployed beside the sample, and replaced once under traffic.

use std::time::Duration;

use tokio::time::Instant;

use super::narrate::{act, command, held, plain, quote};
use crate::Result;
use crate::stand::Stand;

/// The workload.
const NAME: &str = "yours";
/// Between two requests to it.
const ASK_EVERY: Duration = Duration::from_millis(10);

pub(super) async fn play(stand: &Stand, image: &str) -> Result {
    act(&format!("Your image: {image}"));
    let port = stand.docker.first_port(image).await?;
    let file = format!(
        "project = \"{}\"\n\n[workloads.{NAME}]\nimage = \"{image}\"\nhost  = \"{}\"\nport  = {port}\n\n\
         [workloads.{NAME}.policy]\nliveness = \"2s\"\nbake = \"1s\"\ndrain = \"2s\"\n",
        stand.project,
        stand.host(NAME),
    );
    quote(&file);
    let path = stand.write("yours.toml", &file)?;
    command("cutover apply yours.toml");
    stand.must(&["apply", &path]).await?;
    plain(&format!("http://{}:{}/", stand.host(NAME), stand.proxy.port()));
    command(&format!("cutover restart {NAME}"));
    let name = stand.full_name(NAME);
    let args = ["restart", name.as_str()];
    let mut restart = std::pin::pin!(stand.must(&args));
    let (mut asked, mut failed) = (0_u32, 0_u32);
    let began = Instant::now();
    loop {
        tokio::select! {
            said = &mut restart => {
                said?;
                break;
            }
            answer = stand.get(NAME, "/") => {
                asked += 1;
                failed += u32::from(!matches!(answer, Ok((..500, _))));
                tokio::time::sleep(ASK_EVERY).await;
            }
        }
    }
    let text = format!("replaced within {:.1} s, failed requests: {failed} of {asked}", began.elapsed().as_secs_f64());
    if failed > 0 {
        return Err(text.into());
    }
    held(&text);
    Ok(())
}
