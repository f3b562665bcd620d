//! The scripts that run inside of Redis, each atomic there (`EVALSHA`; a server that doesn't know one is sent it once).

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, Script, ServerErrorKind};

const SHARED: &str = include_str!("lua/rows.lua");

/// All scripts.
pub(super) struct Scripts {
    /// Fences lower attempts of a flow.
    pub begin: Script,
    /// Writes rows of an epoch, and commits it.
    pub epoch: Script,
    /// Puts rows by version.
    pub put: Script,
    /// Removes rows that aren't tombstones.
    pub evict: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        let script = |body: &str| Script::new(&format!("{SHARED}\n{body}"));
        Self {
            begin: script(include_str!("lua/begin.lua")),
            epoch: script(include_str!("lua/epoch.lua")),
            put: script(include_str!("lua/put.lua")),
            evict: script(include_str!("lua/evict.lua")),
        }
    }
}

/// A call of `script` with these keys; its arguments are added by the caller.
pub(super) fn call<'a>(script: &Script, keys: impl ExactSizeIterator<Item = &'a [u8]>) -> Cmd {
    let mut call = redis::cmd("EVALSHA");
    call.arg(script.get_hash()).arg(keys.len());
    keys.for_each(|key| {
        call.arg(key);
    });
    call
}

/// Makes a call of `script`, after sending the script to a server that doesn't know it (any more).
pub(super) async fn run<T: FromRedisValue>(script: &Script, call: &Cmd, connection: &mut impl ConnectionLike) -> RedisResult<T> {
    match call.query_async(connection).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            script.load_async(connection).await?;
            call.query_async(connection).await
        }
        other => other,
    }
}
