//! Which requests are served, in which versions, and the shape of each.
//!
//! The highest versions stop before what needs topic ids (KIP-516), the new group protocol (KIP-848), share groups and
//! transactions, so that clients never use them here.

use kafka_protocol::messages::ApiKey;

use super::shape::Shape::{self, Blob, Each, Fixed, List, Text};
use super::shape::{Field, always, between, from};

/// A request that is served.
#[derive(Debug)]
pub struct Supported {
    /// The request.
    pub api: ApiKey,
    /// Its lowest version.
    pub min: i16,
    /// Its highest version.
    pub max: i16,
    /// The lowest version with compact lengths and tagged fields (KIP-482).
    pub flexible_from: i16,
    /// Its fields.
    pub fields: &'static [Field],
}

impl Supported {
    /// The lowest version that ApiVersions tells.
    #[must_use]
    pub fn advertised_min(&self) -> i16 {
        // librdkafka before 2.11 takes a broker without Produce version 0 for one that can't compress; Apache Kafka 4 tells version 0
        // for that reason too, and refuses it (KAFKA-18659).
        if self.api == ApiKey::Produce { 0 } else { self.min }
    }
}

/// The served request with this key.
#[must_use]
pub fn supported(key: i16) -> Option<&'static Supported> {
    SUPPORTED.iter().find(|s| s.api as i16 == key)
}

const I8: Shape = Fixed(1);
const BOOL: Shape = Fixed(1);
const I16: Shape = Fixed(2);
const I32: Shape = Fixed(4);
const I64: Shape = Fixed(8);

/// Every request that is served.
pub const SUPPORTED: &[Supported] = &[
    Supported {
        api: ApiKey::Produce,
        min: 3,
        max: 11,
        flexible_from: 9,
        fields: &[always(Text), always(I16), always(I32), always(List(&[always(Text), always(List(&[always(I32), always(Blob)]))]))],
    },
    Supported {
        api: ApiKey::Fetch,
        min: 4,
        max: 12,
        flexible_from: 12,
        fields: &[
            always(I32),
            always(I32),
            always(I32),
            always(I32),
            always(I8),
            from(7, I32),
            from(7, I32),
            always(List(&[
                always(Text),
                always(List(&[always(I32), from(9, I32), always(I64), from(12, I32), from(5, I64), always(I32)])),
            ])),
            from(7, List(&[always(Text), always(Each(&I32))])),
            from(11, Text),
        ],
    },
    Supported {
        api: ApiKey::ListOffsets,
        min: 1,
        max: 7,
        flexible_from: 6,
        fields: &[always(I32), from(2, I8), always(List(&[always(Text), always(List(&[always(I32), from(4, I32), always(I64)]))]))],
    },
    Supported {
        api: ApiKey::Metadata,
        min: 0,
        max: 9,
        flexible_from: 9,
        fields: &[always(List(&[always(Text)])), from(4, BOOL), from(8, BOOL), from(8, BOOL)],
    },
    Supported {
        api: ApiKey::OffsetCommit,
        min: 2,
        max: 8,
        flexible_from: 8,
        fields: &[
            always(Text),
            always(I32),
            always(Text),
            from(7, Text),
            between(2, 4, I64),
            always(List(&[always(Text), always(List(&[always(I32), always(I64), from(6, I32), always(Text)]))])),
        ],
    },
    Supported {
        api: ApiKey::OffsetFetch,
        min: 1,
        max: 8,
        flexible_from: 6,
        fields: &[
            between(1, 7, Text),
            between(1, 7, List(&[always(Text), always(Each(&I32))])),
            from(8, List(&[always(Text), always(List(&[always(Text), always(Each(&I32))]))])),
            from(7, BOOL),
        ],
    },
    Supported {
        api: ApiKey::FindCoordinator,
        min: 0,
        max: 4,
        flexible_from: 3,
        fields: &[between(0, 3, Text), from(1, I8), from(4, Each(&Text))],
    },
    Supported {
        api: ApiKey::JoinGroup,
        min: 0,
        max: 9,
        flexible_from: 6,
        fields: &[
            always(Text),
            always(I32),
            from(1, I32),
            always(Text),
            from(5, Text),
            always(Text),
            always(List(&[always(Text), always(Blob)])),
            from(8, Text),
        ],
    },
    Supported {
        api: ApiKey::Heartbeat,
        min: 0,
        max: 4,
        flexible_from: 4,
        fields: &[always(Text), always(I32), always(Text), from(3, Text)],
    },
    Supported {
        api: ApiKey::LeaveGroup,
        min: 0,
        max: 5,
        flexible_from: 4,
        fields: &[always(Text), between(0, 2, Text), from(3, List(&[always(Text), always(Text), from(5, Text)]))],
    },
    Supported {
        api: ApiKey::SyncGroup,
        min: 0,
        max: 5,
        flexible_from: 4,
        fields: &[
            always(Text),
            always(I32),
            always(Text),
            from(3, Text),
            from(5, Text),
            from(5, Text),
            always(List(&[always(Text), always(Blob)])),
        ],
    },
    Supported { api: ApiKey::DescribeGroups, min: 0, max: 5, flexible_from: 5, fields: &[always(Each(&Text)), from(3, BOOL)] },
    Supported { api: ApiKey::ListGroups, min: 0, max: 5, flexible_from: 3, fields: &[from(4, Each(&Text)), from(5, Each(&Text))] },
    Supported { api: ApiKey::ApiVersions, min: 0, max: 3, flexible_from: 3, fields: &[from(3, Text), from(3, Text)] },
    Supported {
        api: ApiKey::CreateTopics,
        min: 2,
        max: 6,
        flexible_from: 5,
        fields: &[
            always(List(&[
                always(Text),
                always(I32),
                always(I16),
                always(List(&[always(I32), always(Each(&I32))])),
                always(List(&[always(Text), always(Text)])),
            ])),
            always(I32),
            always(BOOL),
        ],
    },
    Supported { api: ApiKey::DeleteTopics, min: 1, max: 5, flexible_from: 4, fields: &[always(Each(&Text)), always(I32)] },
    Supported {
        api: ApiKey::InitProducerId,
        min: 0,
        max: 4,
        flexible_from: 2,
        fields: &[always(Text), always(I32), from(3, I64), from(3, I16)],
    },
    Supported {
        api: ApiKey::OffsetForLeaderEpoch,
        min: 2,
        max: 4,
        flexible_from: 4,
        fields: &[from(3, I32), always(List(&[always(Text), always(List(&[always(I32), always(I32), always(I32)]))]))],
    },
    Supported {
        api: ApiKey::DescribeConfigs,
        min: 1,
        max: 4,
        flexible_from: 4,
        fields: &[always(List(&[always(I8), always(Text), always(Each(&Text))])), always(BOOL), from(3, BOOL)],
    },
    Supported {
        api: ApiKey::CreatePartitions,
        min: 0,
        max: 3,
        flexible_from: 2,
        fields: &[always(List(&[always(Text), always(I32), always(List(&[always(Each(&I32))]))])), always(I32), always(BOOL)],
    },
    Supported { api: ApiKey::DeleteGroups, min: 0, max: 2, flexible_from: 2, fields: &[always(Each(&Text))] },
    Supported { api: ApiKey::DescribeCluster, min: 0, max: 1, flexible_from: 0, fields: &[always(BOOL), from(1, I8)] },
];
