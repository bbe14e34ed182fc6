//! The `realtime-connector` program.

use realtime_connector::{Config, create_realtime_connector};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), realtime_connector::Error> {
    let rc = create_realtime_connector(Config::default()).await?;
    let serving = rc.serve().await?;
    serving.wait().await;
    Ok(())
}
