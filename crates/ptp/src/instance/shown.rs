//! The data sets, as management and status show them (IEEE 1588-2019 8.2).

use super::Instance;
use crate::data_sets::{CurrentDs, DefaultDs, DelayMechanism, ParentDs, PortDs, TimePropertiesDs};
use crate::foreign_masters::ForeignMaster;
use crate::identity::ClockIdentity;
use crate::message::{ClockClass, ClockQuality};

impl Instance {
    /// defaultDS.
    #[must_use]
    pub const fn default_ds(&self) -> DefaultDs {
        let options = &self.options;
        let quality = self.state.quality;
        DefaultDs {
            clock_identity: options.identity,
            number_ports: 1,
            clock_quality: if options.slave_only {
                ClockQuality { clock_class: ClockClass::SLAVE_ONLY, ..quality }
            } else {
                quality
            },
            priority1: options.priority1,
            priority2: options.priority2,
            domain_number: options.domain,
            slave_only: options.slave_only,
            sdo_id: options.sdo_id,
            instance_enable: self.enabled,
            local_priority: options.local_priority,
        }
    }

    /// currentDS.
    #[must_use]
    pub fn current_ds(&self) -> CurrentDs {
        let Some(master) = &self.master else { return CurrentDs::default() };
        CurrentDs {
            steps_removed: master.announce.steps_removed.saturating_add(1),
            offset_from_master: self.offset_from_master,
            mean_delay: self.mean_delay,
            synchronization_uncertain: self.parent_ds().synchronization_uncertain,
        }
    }

    /// parentDS.
    #[must_use]
    pub fn parent_ds(&self) -> ParentDs {
        self.master.as_ref().map_or_else(
            || ParentDs::own(&self.default_ds()),
            |master| ParentDs::following(master.identity, &master.announce, master.flags, master.address),
        )
    }

    /// timePropertiesDS.
    #[must_use]
    pub fn time_properties_ds(&self) -> TimePropertiesDs {
        self.master
            .as_ref()
            .map_or(self.state.time_properties, |master| TimePropertiesDs::following(&master.announce, master.flags))
    }

    /// portDS.
    #[must_use]
    pub fn port_ds(&self) -> PortDs {
        let port = &self.options.port;
        let told = self.master.as_ref().and_then(|master| master.log_min_delay_req_interval);
        let is_p2p = port.delay_mechanism == DelayMechanism::P2p;
        PortDs {
            port_identity: self.port_identity(),
            port_state: self.port_state,
            log_min_delay_req_interval: told.unwrap_or(port.log_min_delay_req_interval),
            mean_link_delay: self.neighbour.link().mean().filter(|_| is_p2p).unwrap_or_default(),
            log_announce_interval: port.log_announce_interval,
            announce_receipt_timeout: port.announce_receipt_timeout,
            log_sync_interval: port.log_sync_interval,
            delay_mechanism: port.delay_mechanism,
            log_min_pdelay_req_interval: port.log_min_pdelay_req_interval,
            version_number: 2,
            minor_version_number: port.minor_version,
            delay_asymmetry: port.delay_asymmetry,
            port_enable: self.enabled,
            master_only: port.master_only,
        }
    }

    /// pathTraceDS.list: the clocks from the grandmaster to our master (16.2.2); empty where it says nothing of them.
    #[must_use]
    pub fn path_trace(&self) -> &[ClockIdentity] {
        self.master.as_ref().map_or(&[], |master| master.path.as_slice())
    }

    /// The masters that are heard.
    pub fn foreign_masters(&self) -> impl ExactSizeIterator<Item = &ForeignMaster> {
        self.foreign_masters.iter()
    }
}
