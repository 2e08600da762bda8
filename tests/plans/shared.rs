    cpus: &[
        plan::Cpu {
            mpidr: 0x0,
            redistributor: plan::Pa::new(0x80a0000),
            processor: 0,
            schedule: plan::Schedule::Cyclic(
                &plan::Frame {
                    ticks: plan::ticks(10000000),
                    vpes: &[
                        plan::VpeIndex::new(0),
                        plan::VpeIndex::new(1),
                        plan::VpeIndex::new(2),
                    ],
                    windows: &[
                        plan::Window {
                            start: 0,
                            ticks: 1000000,
                            slot: 0,
                        },
                        plan::Window {
                            start: 1000000,
                            ticks: 3000000,
                            slot: 1,
                        },
                        plan::Window {
                            start: 5000000,
                            ticks: 1000000,
                            slot: 0,
                        },
                        plan::Window {
                            start: 6000000,
                            ticks: 3500000,
                            slot: 2,
                        },
                    ],
                },
            ),
        },
        plan::Cpu {
            mpidr: 0x1,
            redistributor: plan::Pa::new(0x80e0000),
            processor: 1,
            schedule: plan::Schedule::Priority(
                &[
                    plan::PrioritySlot {
                        vpe: plan::VpeIndex::new(3),
                        priority: 20,
                        budget: Some(
                            plan::Budget::new(2000000, 10000000, plan::Rest::Suspended),
                        ),
                    },
                    plan::PrioritySlot {
                        vpe: plan::VpeIndex::new(4),
                        priority: 10,
                        budget: None,
                    },
                ],
            ),
        },
        plan::Cpu {
            mpidr: 0x2,
            redistributor: plan::Pa::new(0x8120000),
            processor: 2,
            schedule: plan::Schedule::Unused,
        },
        plan::Cpu {
            mpidr: 0x3,
            redistributor: plan::Pa::new(0x8160000),
            processor: 3,
            schedule: plan::Schedule::Unused,
        },
    ],
    modes: None,
