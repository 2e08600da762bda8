    cpus: &[
        plan::Cpu {
            mpidr: 0x0,
            redistributor: plan::Pa::new(0x80a0000),
            processor: 0,
            schedule: plan::Schedule::Cyclic(
                &plan::Frame {
                    ticks: plan::ticks(10000000),
                    vpes: &[plan::VpeIndex::new(0), plan::VpeIndex::new(1)],
                    windows: &[
                        plan::Window {
                            start: 0,
                            ticks: 2000000,
                            slot: 0,
                        },
                        plan::Window {
                            start: 2000000,
                            ticks: 4000000,
                            slot: 1,
                        },
                        plan::Window {
                            start: 6000000,
                            ticks: 1000000,
                            slot: 0,
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
                        vpe: plan::VpeIndex::new(2),
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
            schedule: plan::Schedule::Exclusive(plan::VpeIndex::new(3)),
        },
        plan::Cpu {
            mpidr: 0x3,
            redistributor: plan::Pa::new(0x8160000),
            processor: 3,
            schedule: plan::Schedule::Unused,
        },
    ],
    modes: Some(plan::Modes {
        modes: &[
            plan::Mode {
                name: "normal",
                boundary: plan::ticks(10000000),
                schedules: &[
                    plan::Schedule::Cyclic(
                        &plan::Frame {
                            ticks: plan::ticks(10000000),
                            vpes: &[plan::VpeIndex::new(0), plan::VpeIndex::new(1)],
                            windows: &[
                                plan::Window {
                                    start: 0,
                                    ticks: 2000000,
                                    slot: 0,
                                },
                                plan::Window {
                                    start: 2000000,
                                    ticks: 4000000,
                                    slot: 1,
                                },
                                plan::Window {
                                    start: 6000000,
                                    ticks: 1000000,
                                    slot: 0,
                                },
                            ],
                        },
                    ),
                    plan::Schedule::Priority(
                        &[
                            plan::PrioritySlot {
                                vpe: plan::VpeIndex::new(2),
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
                    plan::Schedule::Exclusive(plan::VpeIndex::new(3)),
                    plan::Schedule::Unused,
                ],
                placements: &[
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(0),
                        slot: 0,
                    }),
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(0),
                        slot: 1,
                    }),
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(1),
                        slot: 0,
                    }),
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(2),
                        slot: 0,
                    }),
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(1),
                        slot: 1,
                    }),
                ],
                switches: &[
                    plan::ModeSwitch {
                        cpus: 0b0,
                        moves: &[],
                        script: &[],
                    },
                    plan::ModeSwitch {
                        cpus: 0b11,
                        moves: &[
                            plan::Move {
                                vpe: plan::VpeIndex::new(1),
                                from: plan::CpuIndex::new(0),
                                to: plan::CpuIndex::new(1),
                            },
                            plan::Move {
                                vpe: plan::VpeIndex::new(2),
                                from: plan::CpuIndex::new(1),
                                to: plan::CpuIndex::new(0),
                            },
                        ],
                        script: &[
                            [0x22, 0x100000000, 0x10000, 0x0],
                            [0x25, 0x100000000, 0x0, 0x0],
                            [0x2a00000001, 0x1, 0x1, 0x0],
                            [0x5, 0x0, 0x0, 0x0],
                        ],
                    },
                    plan::ModeSwitch {
                        cpus: 0b110,
                        moves: &[
                            plan::Move {
                                vpe: plan::VpeIndex::new(3),
                                from: plan::CpuIndex::new(2),
                                to: plan::CpuIndex::new(1),
                            },
                        ],
                        script: &[
                            [0x22, 0x300000000, 0x10000, 0x0],
                            [0x25, 0x300000000, 0x0, 0x0],
                            [0x2a00000001, 0x3, 0x1, 0x0],
                            [0x5, 0x0, 0x20000, 0x0],
                        ],
                    },
                ],
            },
            plan::Mode {
                name: "backup",
                boundary: plan::ticks(4000000),
                schedules: &[
                    plan::Schedule::Cyclic(
                        &plan::Frame {
                            ticks: plan::ticks(4000000),
                            vpes: &[plan::VpeIndex::new(0), plan::VpeIndex::new(2)],
                            windows: &[
                                plan::Window {
                                    start: 0,
                                    ticks: 1500000,
                                    slot: 0,
                                },
                                plan::Window {
                                    start: 2000000,
                                    ticks: 1000000,
                                    slot: 1,
                                },
                            ],
                        },
                    ),
                    plan::Schedule::Exclusive(plan::VpeIndex::new(1)),
                    plan::Schedule::Exclusive(plan::VpeIndex::new(3)),
                    plan::Schedule::Unused,
                ],
                placements: &[
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(0),
                        slot: 0,
                    }),
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(1),
                        slot: 0,
                    }),
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(0),
                        slot: 1,
                    }),
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(2),
                        slot: 0,
                    }),
                    None,
                ],
                switches: &[
                    plan::ModeSwitch {
                        cpus: 0b11,
                        moves: &[
                            plan::Move {
                                vpe: plan::VpeIndex::new(1),
                                from: plan::CpuIndex::new(1),
                                to: plan::CpuIndex::new(0),
                            },
                            plan::Move {
                                vpe: plan::VpeIndex::new(2),
                                from: plan::CpuIndex::new(0),
                                to: plan::CpuIndex::new(1),
                            },
                        ],
                        script: &[
                            [0x22, 0x100000000, 0x0, 0x0],
                            [0x25, 0x100000000, 0x0, 0x0],
                            [0x2a00000001, 0x1, 0x0, 0x0],
                            [0x5, 0x0, 0x10000, 0x0],
                        ],
                    },
                    plan::ModeSwitch {
                        cpus: 0b0,
                        moves: &[],
                        script: &[],
                    },
                    plan::ModeSwitch {
                        cpus: 0b111,
                        moves: &[
                            plan::Move {
                                vpe: plan::VpeIndex::new(1),
                                from: plan::CpuIndex::new(1),
                                to: plan::CpuIndex::new(0),
                            },
                            plan::Move {
                                vpe: plan::VpeIndex::new(2),
                                from: plan::CpuIndex::new(0),
                                to: plan::CpuIndex::new(1),
                            },
                            plan::Move {
                                vpe: plan::VpeIndex::new(3),
                                from: plan::CpuIndex::new(2),
                                to: plan::CpuIndex::new(1),
                            },
                        ],
                        script: &[
                            [0x22, 0x100000000, 0x0, 0x0],
                            [0x22, 0x300000000, 0x10000, 0x0],
                            [0x25, 0x100000000, 0x0, 0x0],
                            [0x25, 0x300000000, 0x0, 0x0],
                            [0x2a00000001, 0x1, 0x0, 0x0],
                            [0x2a00000001, 0x3, 0x1, 0x0],
                            [0x5, 0x0, 0x10000, 0x0],
                            [0x5, 0x0, 0x20000, 0x0],
                        ],
                    },
                ],
            },
            plan::Mode {
                name: "degraded",
                boundary: plan::ticks(10000000),
                schedules: &[
                    plan::Schedule::Cyclic(
                        &plan::Frame {
                            ticks: plan::ticks(10000000),
                            vpes: &[plan::VpeIndex::new(0), plan::VpeIndex::new(1)],
                            windows: &[
                                plan::Window {
                                    start: 0,
                                    ticks: 2000000,
                                    slot: 0,
                                },
                                plan::Window {
                                    start: 2000000,
                                    ticks: 4000000,
                                    slot: 1,
                                },
                                plan::Window {
                                    start: 6000000,
                                    ticks: 1000000,
                                    slot: 0,
                                },
                            ],
                        },
                    ),
                    plan::Schedule::Priority(
                        &[
                            plan::PrioritySlot {
                                vpe: plan::VpeIndex::new(2),
                                priority: 20,
                                budget: Some(
                                    plan::Budget::new(2000000, 10000000, plan::Rest::Background),
                                ),
                            },
                            plan::PrioritySlot {
                                vpe: plan::VpeIndex::new(3),
                                priority: 15,
                                budget: Some(
                                    plan::Budget::new(3000000, 10000000, plan::Rest::Background),
                                ),
                            },
                            plan::PrioritySlot {
                                vpe: plan::VpeIndex::new(4),
                                priority: 10,
                                budget: None,
                            },
                        ],
                    ),
                    plan::Schedule::Unused,
                    plan::Schedule::Unused,
                ],
                placements: &[
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(0),
                        slot: 0,
                    }),
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(0),
                        slot: 1,
                    }),
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(1),
                        slot: 0,
                    }),
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(1),
                        slot: 1,
                    }),
                    Some(plan::Placement {
                        cpu: plan::CpuIndex::new(1),
                        slot: 2,
                    }),
                ],
                switches: &[
                    plan::ModeSwitch {
                        cpus: 0b110,
                        moves: &[
                            plan::Move {
                                vpe: plan::VpeIndex::new(3),
                                from: plan::CpuIndex::new(1),
                                to: plan::CpuIndex::new(2),
                            },
                        ],
                        script: &[
                            [0x22, 0x300000000, 0x20000, 0x0],
                            [0x25, 0x300000000, 0x0, 0x0],
                            [0x2a00000001, 0x3, 0x2, 0x0],
                            [0x5, 0x0, 0x10000, 0x0],
                        ],
                    },
                    plan::ModeSwitch {
                        cpus: 0b111,
                        moves: &[
                            plan::Move {
                                vpe: plan::VpeIndex::new(1),
                                from: plan::CpuIndex::new(0),
                                to: plan::CpuIndex::new(1),
                            },
                            plan::Move {
                                vpe: plan::VpeIndex::new(2),
                                from: plan::CpuIndex::new(1),
                                to: plan::CpuIndex::new(0),
                            },
                            plan::Move {
                                vpe: plan::VpeIndex::new(3),
                                from: plan::CpuIndex::new(1),
                                to: plan::CpuIndex::new(2),
                            },
                        ],
                        script: &[
                            [0x22, 0x100000000, 0x10000, 0x0],
                            [0x22, 0x300000000, 0x20000, 0x0],
                            [0x25, 0x100000000, 0x0, 0x0],
                            [0x25, 0x300000000, 0x0, 0x0],
                            [0x2a00000001, 0x1, 0x1, 0x0],
                            [0x2a00000001, 0x3, 0x2, 0x0],
                            [0x5, 0x0, 0x0, 0x0],
                            [0x5, 0x0, 0x10000, 0x0],
                        ],
                    },
                    plan::ModeSwitch {
                        cpus: 0b0,
                        moves: &[],
                        script: &[],
                    },
                ],
            },
        ],
        asker: Some(plan::VmIndex::new(0)),
    }),
