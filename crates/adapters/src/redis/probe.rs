//! Looking at a server: what it is, what it may lose, and whether Millstream may do there what it needs.

use std::collections::HashMap;
use std::sync::Arc;

use millstream_core::{Error, Result};
use redis::RedisResult;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};

use super::link::{Connection, Link};
use super::script::{self, Scripts};
use super::settings::RedisSettings;

/// What a server says of itself (`INFO`); of a cluster, one of its servers.
pub(super) struct About(HashMap<String, String>);

impl About {
    fn says(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What the server may lose by the way it is set up, a sentence each.
    pub fn risks(&self) -> Vec<String> {
        let mut risks = Vec::new();
        if self.says("aof_enabled") == Some("0") {
            risks.push(
                "appendonly is off: a restart loses rows and epochs, and the flows build their tables again from their sources; set appendonly yes"
                    .to_owned(),
            );
        }
        let policy = self.says("maxmemory_policy").unwrap_or("noeviction");
        if policy != "noeviction" && self.says("maxmemory") != Some("0") {
            risks.push(format!(
                "maxmemory-policy is {policy}: a full server drops rows, deletes and epochs that Millstream counts on; set noeviction"
            ));
        }
        risks
    }
}

/// Asks the server.
pub(super) async fn about(link: &Link) -> Result<About> {
    let ask = async |mut connection: Connection| -> RedisResult<String> {
        let call = redis::cmd("INFO");
        match &mut connection {
            Connection::Cluster(cluster) => {
                let one = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
                Ok(redis::from_redis_value(cluster.route_command(call, one).await?)?)
            }
            Connection::Single(_) => call.query_async(&mut connection).await,
        }
    };
    let text = link.with("asking for the server's state (INFO)", ask).await?;
    Ok(About(text.lines().filter_map(|line| line.split_once(':')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect()))
}

/// Connects, writes a key by script, finds it again by `SCAN`'s rights, and removes it; leaves nothing behind. Returns a line about the server.
pub async fn probe(settings: &RedisSettings) -> Result<String> {
    settings.validate()?;
    let link = Link::new(Arc::new(settings.clone()), None);
    let about = about(&link).await?;
    let version = about.says("redis_version").unwrap_or("of an unknown version").to_owned();
    if version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < 7) {
        return Err(Error::unsupported(format!("redis ({}) is version {version}; Millstream needs 7.0 or later", link.servers())));
    }
    let mode = about.says("redis_mode").unwrap_or("standalone").to_owned();
    if (mode == "cluster") != settings.cluster {
        return Err(Error::invalid(format!("redis ({}) runs as {mode}, and redis.cluster is {}", link.servers(), settings.cluster)));
    }
    may_do_its_work(&link, settings).await?;
    let mut line = format!("Redis {version} ({mode}), may write rows as {} under {}", settings.format.as_str(), settings.key_prefix);
    about.risks().iter().for_each(|risk| line.push_str(&format!("; warning: {risk}")));
    Ok(line)
}

async fn may_do_its_work(link: &Link, settings: &RedisSettings) -> Result<()> {
    let key = format!("{}probe:{{{}}}", settings.key_prefix, std::process::id());
    let scripts = Scripts::default();
    let mut put = script::call(&scripts.put, std::iter::once(key.as_bytes()));
    put.arg(settings.format.as_str()).arg(1).arg(1).arg("").arg(-1);
    let work = async |mut connection: Connection| -> RedisResult<()> {
        script::run::<u64>(&scripts.put, &put, &mut connection).await?;
        redis::cmd("SCAN").arg(0).arg("COUNT").arg(1).query_async::<redis::Value>(&mut connection).await?;
        redis::cmd("UNLINK").arg(&key).query_async::<u64>(&mut connection).await.map(drop)
    };
    link.with(&format!("trying a write under {}", settings.key_prefix), work).await
}
