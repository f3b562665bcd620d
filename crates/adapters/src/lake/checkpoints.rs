//! [`LakeCheckpointStore`]: flows' checkpoints as objects in a folder of a lake, or of this machine.
//!
//! Below the folder, for each flow: `FLOW/attempts/N`, an empty object for each attempt, and `FLOW/checkpoints/EPOCH/ATTEMPT`, a checkpoint
//! as one attempt put it. Numbers have 20 digits, so that they are listed in order; of a flow's name, bytes other than `a-z`, `0-9`, `_` and
//! `-` are written as `=` and two hexadecimal digits. An object is a format byte, the CRC-32C (RFC 3720) of the payload and the payload.
//!
//! Nothing is ever replaced: an attempt is claimed by creating the object of the next number, which one of many can, and a checkpoint of a later
//! attempt is read in place of an earlier one's. So a put looks for a later attempt before it writes and again after it has; what it wrote
//! between a claim and that second look, it takes back, and until then it is what a put just before the claim would have left. Who goes on
//! from such a checkpoint puts it as his own first: then there are two, and only the other one is taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use millstream_core::ports::CheckpointStore;
use millstream_core::{Attempt, Epoch, Error, FlowId, Result};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore};

use super::client::LakeClient;
use super::location::LakeLocation;
use super::settings::LakeSettings;

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 5;

/// So often an attempt is claimed anew when somebody else was faster.
const CLAIMS_MAX: usize = 100;

/// So often a checkpoint is looked for that was replaced while it was read.
const READS_MAX: usize = 10;

/// Earlier attempts are remembered up to so many: a process of an older one that still runs sees the later ones.
const ATTEMPTS_KEPT: u64 = 16;

/// Checkpoints in a folder of a lake.
pub struct LakeCheckpointStore {
    client: LakeClient,
}

impl LakeCheckpointStore {
    /// In the folder `location`. Connects to nothing.
    pub fn new(settings: Arc<LakeSettings>, location: LakeLocation) -> Result<Self> {
        settings.validate()?;
        Ok(Self { client: LakeClient::new(location, settings) })
    }

    /// In the folder `location` of `store`, which was built elsewhere.
    pub fn in_store(store: Arc<dyn ObjectStore>, settings: Arc<LakeSettings>, location: LakeLocation) -> Result<Self> {
        settings.validate()?;
        Ok(Self { client: LakeClient::of_store(store, location, settings) })
    }

    fn flow_folder(&self, flow: &FlowId) -> ObjectPath {
        self.client.location().path.clone().join(escape(flow.as_str()).as_str())
    }

    fn attempts_folder(&self, flow: &FlowId) -> ObjectPath {
        self.flow_folder(flow).join("attempts")
    }

    fn checkpoints_folder(&self, flow: &FlowId) -> ObjectPath {
        self.flow_folder(flow).join("checkpoints")
    }

    fn epoch_folder(&self, flow: &FlowId, epoch: Epoch) -> ObjectPath {
        self.checkpoints_folder(flow).join(number(epoch.0).as_str())
    }

    /// The attempts that are remembered, in order.
    async fn attempts(&self, flow: &FlowId) -> Result<Vec<(u64, ObjectPath)>> {
        let found = self.client.list(&self.attempts_folder(flow), None).await?;
        let mut attempts: Vec<_> =
            found.into_iter().filter_map(|meta| Some((meta.location.filename()?.parse().ok()?, meta.location))).collect();
        attempts.sort_unstable();
        Ok(attempts)
    }

    async fn check_attempt(&self, flow: &FlowId, attempt: Attempt) -> Result<()> {
        match self.attempts(flow).await?.last() {
            Some((newest, _)) if *newest > attempt.0 => {
                Err(Error::fenced(format!("attempt {attempt} of flow {flow} writes a checkpoint, and attempt {newest} has begun")))
            }
            _ => Ok(()),
        }
    }

    /// The checkpoints in `folder`, by epoch, those of each by attempt.
    async fn checkpoints(&self, folder: &ObjectPath) -> Result<BTreeMap<Epoch, BTreeMap<u64, ObjectMeta>>> {
        let mut found: BTreeMap<Epoch, BTreeMap<u64, ObjectMeta>> = BTreeMap::new();
        for meta in self.client.list(folder, None).await? {
            let mut parts = meta.location.parts().map(|part| part.as_ref().parse().ok()).collect::<Vec<Option<u64>>>().into_iter().rev();
            if let (Some(Some(attempt)), Some(Some(epoch))) = (parts.next(), parts.next()) {
                found.entry(Epoch(epoch)).or_default().insert(attempt, meta);
            }
        }
        Ok(found)
    }

    /// Deletes a flow's checkpoints of epochs that `gone` picks.
    async fn remove(&self, flow: &FlowId, gone: impl Fn(Epoch) -> bool) -> Result<()> {
        let found = self.checkpoints(&self.checkpoints_folder(flow)).await?;
        let paths = found.into_iter().filter(|(epoch, _)| gone(*epoch)).flat_map(|(_, of)| of.into_values().map(|meta| meta.location));
        Ok(self.client.delete(paths.collect()).await?)
    }
}

fn number(n: u64) -> String {
    format!("{n:020}")
}

fn escape(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("={byte:02x}") }).collect()
}

/// What [`escape`] wrote; `None` for anything else.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '=' {
            bytes.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
            rest = rest.get(3..)?;
        } else {
            bytes.extend_from_slice(rest.get(..first.len_utf8())?.as_bytes());
            rest = rest.get(first.len_utf8()..)?;
        }
    }
    String::from_utf8(bytes).ok()
}

fn encode(payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    bytes.put_u8(FORMAT);
    bytes.put_u32(crc32c::crc32c(payload));
    bytes.put_slice(payload);
    bytes.freeze()
}

fn decode(name: &str, bytes: &Bytes) -> Result<Bytes> {
    let bad = |why: &str| Error::corrupt(format!("the checkpoint {name} {why}; go back to an older one"));
    let (head, payload) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| bad("is cut off"))?;
    if head[0] != FORMAT {
        return Err(bad(&format!("has format {}, and this build reads format {FORMAT}", head[0])));
    }
    if head[1..] != crc32c::crc32c(payload).to_be_bytes() {
        return Err(bad("fails its checksum"));
    }
    Ok(bytes.slice(HEADER_BYTES..))
}

#[async_trait]
impl CheckpointStore for LakeCheckpointStore {
    async fn claim(&self, flow: &FlowId) -> Result<Attempt> {
        for _ in 0..CLAIMS_MAX {
            let attempts = self.attempts(flow).await?;
            let next = attempts.last().map_or(0, |(newest, _)| *newest) + 1;
            if self.client.create(&self.attempts_folder(flow).join(number(next).as_str()), Bytes::from_static(b"1")).await? {
                let old = attempts.into_iter().filter(|(n, _)| n + ATTEMPTS_KEPT < next).map(|(_, path)| path);
                self.client.delete(old.collect()).await?;
                return Ok(Attempt(next));
            }
        }
        Err(Error::unavailable(format!("flow {flow} could not be claimed in {}: others claim it all the time", self.client.location())))
    }

    async fn put(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch, checkpoint: Bytes) -> Result<()> {
        self.check_attempt(flow, attempt).await?;
        let path = self.epoch_folder(flow, epoch).join(number(attempt.0).as_str());
        self.client.put(&path, encode(&checkpoint)).await?;
        if let Err(fenced) = self.check_attempt(flow, attempt).await {
            self.client.delete(vec![path]).await?;
            return Err(fenced);
        }
        Ok(())
    }

    async fn get(&self, flow: &FlowId, epoch: Epoch) -> Result<Option<Bytes>> {
        for _ in 0..READS_MAX {
            let found = self.checkpoints(&self.epoch_folder(flow, epoch)).await?;
            let Some((_, meta)) = found.into_values().next_back().and_then(|mut of| of.pop_last()) else { return Ok(None) };
            match self.client.get_range(&meta, 0..meta.size).await {
                // A put that nobody waits for any more has replaced it since it was listed, or a prune has removed it.
                Err(error) if error.is_change() => {}
                read => return decode(&self.client.name(&meta.location), &read?).map(Some),
            }
        }
        Err(Error::unavailable(format!("the checkpoint of epoch {epoch} of flow {flow} changes whenever it is read")))
    }

    async fn epochs(&self, flow: &FlowId) -> Result<Vec<Epoch>> {
        Ok(self.checkpoints(&self.checkpoints_folder(flow)).await?.into_keys().collect())
    }

    async fn prune(&self, flow: &FlowId, attempt: Attempt, keep_from: Epoch) -> Result<()> {
        self.check_attempt(flow, attempt).await?;
        self.remove(flow, |epoch| epoch < keep_from).await
    }

    async fn forget_after(&self, flow: &FlowId, attempt: Attempt, epoch: Epoch) -> Result<()> {
        self.check_attempt(flow, attempt).await?;
        let found = self.checkpoints(&self.checkpoints_folder(flow)).await?;
        // One epoch after the other: a request for several objects removes them in any order.
        for (_, of) in found.into_iter().rev().take_while(|(found, _)| *found > epoch) {
            self.client.delete(of.into_values().map(|meta| meta.location).collect()).await?;
        }
        Ok(())
    }

    async fn forget(&self, flow: &FlowId) -> Result<()> {
        self.remove(flow, |_| true).await
    }

    async fn flows(&self) -> Result<Vec<FlowId>> {
        let (_, folders) = self.client.list_folder(&self.client.location().path).await?;
        let mut flows = Vec::new();
        for flow in folders.iter().filter_map(|folder| unescape(folder.filename()?)).map(FlowId) {
            if !self.epochs(&flow).await?.is_empty() {
                flows.push(flow);
            }
        }
        flows.sort();
        Ok(flows)
    }
}

#[cfg(test)]
mod tests;
