//! What a management message is about.

use core::fmt;

/// Which data, or which deed (managementId, IEEE 1588-2019 table 59).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManagementId(pub u16);

/// Declares the identifiers and their names from one table.
macro_rules! management_ids {
    ($($name:ident = $number:literal: $doc:literal,)+) => {
        impl ManagementId {
            $(#[doc = $doc] pub const $name: Self = Self($number);)+

            /// Its name, where it is one that is known here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)+
                    _ => None,
                }
            }
        }
    };
}

management_ids! {
    NULL_MANAGEMENT = 0x0000: "Nothing: shows who is there.",
    CLOCK_DESCRIPTION = 0x0001: "What the device is.",
    USER_DESCRIPTION = 0x0002: "What its owner calls it.",
    SAVE_IN_NON_VOLATILE_STORAGE = 0x0003: "Keeps what was set.",
    RESET_NON_VOLATILE_STORAGE = 0x0004: "Forgets what was kept.",
    INITIALIZE = 0x0005: "Starts anew.",
    FAULT_LOG = 0x0006: "Faults.",
    FAULT_LOG_RESET = 0x0007: "Forgets the faults.",
    DEFAULT_DATA_SET = 0x2000: "defaultDS.",
    CURRENT_DATA_SET = 0x2001: "currentDS.",
    PARENT_DATA_SET = 0x2002: "parentDS.",
    TIME_PROPERTIES_DATA_SET = 0x2003: "timePropertiesDS.",
    PORT_DATA_SET = 0x2004: "portDS.",
    PRIORITY1 = 0x2005: "defaultDS.priority1.",
    PRIORITY2 = 0x2006: "defaultDS.priority2.",
    DOMAIN = 0x2007: "defaultDS.domainNumber.",
    SLAVE_ONLY = 0x2008: "defaultDS.slaveOnly.",
    LOG_ANNOUNCE_INTERVAL = 0x2009: "portDS.logAnnounceInterval.",
    ANNOUNCE_RECEIPT_TIMEOUT = 0x200a: "portDS.announceReceiptTimeout.",
    LOG_SYNC_INTERVAL = 0x200b: "portDS.logSyncInterval.",
    VERSION_NUMBER = 0x200c: "portDS.versionNumber.",
    ENABLE_PORT = 0x200d: "Lets the port take part.",
    DISABLE_PORT = 0x200e: "Forbids it.",
    TIME = 0x200f: "The time of the clock.",
    CLOCK_ACCURACY = 0x2010: "defaultDS.clockQuality.clockAccuracy.",
    UTC_PROPERTIES = 0x2011: "The offset to UTC and leap seconds.",
    TRACEABILITY_PROPERTIES = 0x2012: "timeTraceable and frequencyTraceable.",
    TIMESCALE_PROPERTIES = 0x2013: "ptpTimescale and timeSource.",
    UNICAST_NEGOTIATION_ENABLE = 0x2014: "Whether unicast messages are negotiated.",
    PATH_TRACE_LIST = 0x2015: "pathTraceDS.list.",
    PATH_TRACE_ENABLE = 0x2016: "pathTraceDS.enable.",
    GRANDMASTER_CLUSTER_TABLE = 0x2017: "The grandmasters of a cluster.",
    UNICAST_MASTER_TABLE = 0x2018: "Masters asked by unicast.",
    UNICAST_MASTER_MAX_TABLE_SIZE = 0x2019: "How many of them there can be.",
    ACCEPTABLE_MASTER_TABLE = 0x201a: "Masters that may be followed.",
    ACCEPTABLE_MASTER_TABLE_ENABLED = 0x201b: "Whether only they may.",
    ACCEPTABLE_MASTER_MAX_TABLE_SIZE = 0x201c: "How many of them there can be.",
    ALTERNATE_MASTER = 0x201d: "Messages of a port that is not the best master.",
    ALTERNATE_TIME_OFFSET_ENABLE = 0x201e: "Which alternate timescales are told.",
    ALTERNATE_TIME_OFFSET_NAME = 0x201f: "What one is called.",
    ALTERNATE_TIME_OFFSET_MAX_KEY = 0x2020: "How many of them there can be.",
    ALTERNATE_TIME_OFFSET_PROPERTIES = 0x2021: "How far one is off.",
    EXTERNAL_PORT_CONFIGURATION_ENABLED = 0x3000: "Whether port states are set from outside.",
    MASTER_ONLY = 0x3001: "portDS.masterOnly.",
    HOLDOVER_UPGRADE_ENABLE = 0x3002: "Whether a good oscillator may raise the clockClass.",
    EXT_PORT_CONFIG_PORT_DATA_SET = 0x3003: "The port state set from outside.",
    TRANSPARENT_CLOCK_DEFAULT_DATA_SET = 0x4000: "transparentClockDefaultDS.",
    TRANSPARENT_CLOCK_PORT_DATA_SET = 0x4001: "transparentClockPortDS.",
    PRIMARY_DOMAIN = 0x4002: "transparentClockDefaultDS.primaryDomain.",
    DELAY_MECHANISM = 0x6000: "portDS.delayMechanism.",
    LOG_MIN_PDELAY_REQ_INTERVAL = 0x6001: "portDS.logMinPdelayReqInterval.",
    TIME_STATUS_NP = 0xc000: "linuxptp's: the offset and the grandmaster.",
    GRANDMASTER_SETTINGS_NP = 0xc001: "linuxptp's: what a grandmaster claims.",
    PORT_DATA_SET_NP = 0xc002: "linuxptp's: 802.1AS in portDS.",
    SUBSCRIBE_EVENTS_NP = 0xc003: "linuxptp's: asks to be told of changes.",
    PORT_PROPERTIES_NP = 0xc004: "linuxptp's: the interface and its stamps.",
    PORT_STATS_NP = 0xc005: "linuxptp's: messages counted.",
    SYNCHRONIZATION_UNCERTAIN_NP = 0xc006: "linuxptp's: synchronizationUncertain.",
    PORT_SERVICE_STATS_NP = 0xc007: "linuxptp's: timeouts counted.",
    UNICAST_MASTER_TABLE_NP = 0xc008: "linuxptp's: masters asked by unicast.",
    PORT_HWCLOCK_NP = 0xc009: "linuxptp's: the clock of a port.",
    POWER_PROFILE_SETTINGS_NP = 0xc00a: "linuxptp's: settings of IEEE C37.238.",
    CMLDS_INFO_NP = 0xc00b: "linuxptp's: the delay service of a link.",
}

/// The name, or the number of what has none.
impl fmt::Display for ManagementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}
