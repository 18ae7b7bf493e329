import NemoKernel
import Testing

@testable import NemoOCI

/// The examples that the specification's JSON schema is tested with: what it takes is accepted, what it refuses is refused.
@Suite struct SchemaExamples {
  @Test(arguments: [
    """
    {"ociVersion": "1.0.0", "root": {"path": "rootfs"}}
    """,
    """
    {"ociVersion": "1.0.0", "root": {"path": "rootfs"},
     "process": {"cwd": "/", "args": ["sh"], "user": {"uid": 0, "gid": 0}}}
    """,
    """
    {"ociVersion": "1.0.0", "root": {"path": "rootfs"}, "linux": {"resources": {"rdma": {
      "mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "mlx4_0": {"hcaObjects": 1000}, "rxe3": {"hcaObjects": 10000}}}}}
    """,
    """
    {"ociVersion": "1.0.0", "root": {"path": "rootfs"}, "linux": {"namespaces": [{"type": "network"}],
      "netDevices": {"eth0": {"name": "container_eth0"}, "ens4": {}, "ens5": {}}}}
    """,
    """
    {"ociVersion": "1.3.0", "root": {"path": "rootfs"}, "freebsd": {"jail": {"vnet": "inherit"}}}
    """,
  ])
  func goodOnesAreAccepted(_ text: String) { accept(text) }

  @Test(arguments: [
    Refusal(
      """
      {"ociVersion": "1.0.0", "root": {"path": "rootfs"},
       "linux": {"resources": {"hugepageLimits": [{"limit": 1234123, "pageSize": "64kB"}]}}}
      """, "/linux/resources/hugepageLimits/0/pageSize", "\"64kB\" is not a page size"),
    Refusal(
      """
      {"ociVersion": "1.0.0", "root": {"path": "rootfs"}, "linux": {"netDevices": {"eth0": {"name": 23}}}}
      """, "/linux/netDevices/eth0/name", "must be a string, not an integer"),
    Refusal(
      """
      {"ociVersion": "1.0.0", "root": {"path": "rootfs"},
       "linux": {"resources": {"rdma": {"mlx5_1": {"hcaHandles": "not a uint32"}}}}}
      """, "/linux/resources/rdma/mlx5_1/hcaHandles", "must be an integer, not a string"),
  ])
  func badOnesAreRefused(_ refusal: Refusal) {
    refusal.expect(refusal.part, Configuration.init(parsing:subject:))
  }

  @Test func malformedTextIsRefused() {
    do throws(Failure) {
      _ = try Configuration(parsing: Array("{]".utf8), subject: "config.json")
      Issue.record("accepted")
    } catch {
      #expect(error.message.hasPrefix("parse config.json: line 1, column 2: "))
    }
  }

  @Test func theSpecificationsWholeExampleIsRead() throws {
    let config = try configuration(SchemaExamples.specification)
    #expect(config.process?.rlimits.map(\.name) == ["RLIMIT_CORE", "RLIMIT_NOFILE"])
    #expect(config.mounts.map(\.destination).suffix(2) == ["/sys", "/sys/fs/cgroup"])
    #expect(config.hooks.prestart.count == 2 && config.hooks.poststart[0].timeout == 5)
    #expect(config.linux.namespaces.count == 8)
    #expect(config.linux.resources.hugepageLimits[0].limit == 9_223_372_036_854_772_000)
    #expect(config.linux.resources.devices.count == 3)
    #expect(config.linux.timeOffsets["boottime"]?.secs == 604_800)
    #expect(config.linux.rootfsPropagation == "slave")
    #expect(config.linux.seccomp?.syscalls[0].names == ["getcwd", "chmod"])
    #expect(config.annotations == ["com.example.key1": "value1", "com.example.key2": "value2"])
  }

  static let specification = """
    {
      "ociVersion": "1.3.0",
      "process": {
        "terminal": true,
        "user": {
          "uid": 1,
          "gid": 1,
          "additionalGids": [
            5,
            6
          ]
        },
        "args": [
          "sh"
        ],
        "env": [
          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          "TERM=xterm"
        ],
        "cwd": "/",
        "capabilities": {
          "bounding": [
            "CAP_AUDIT_WRITE",
            "CAP_KILL",
            "CAP_NET_BIND_SERVICE"
          ],
          "permitted": [
            "CAP_AUDIT_WRITE",
            "CAP_KILL",
            "CAP_NET_BIND_SERVICE"
          ],
          "inheritable": [
            "CAP_AUDIT_WRITE",
            "CAP_KILL",
            "CAP_NET_BIND_SERVICE"
          ],
          "effective": [
            "CAP_AUDIT_WRITE",
            "CAP_KILL"
          ],
          "ambient": [
            "CAP_NET_BIND_SERVICE"
          ]
        },
        "rlimits": [
          {
            "type": "RLIMIT_CORE",
            "hard": 1024,
            "soft": 1024
          },
          {
            "type": "RLIMIT_NOFILE",
            "hard": 1024,
            "soft": 1024
          }
        ],
        "apparmorProfile": "acme_secure_profile",
        "selinuxLabel": "system_u:system_r:svirt_lxc_net_t:s0:c124,c675",
        "noNewPrivileges": true
      },
      "root": {
        "path": "rootfs",
        "readonly": true
      },
      "hostname": "slartibartfast",
      "domainname": "foobarbaz.test",
      "mounts": [
        {
          "destination": "/proc",
          "type": "proc",
          "source": "proc"
        },
        {
          "destination": "/dev",
          "type": "tmpfs",
          "source": "tmpfs",
          "options": [
            "nosuid",
            "strictatime",
            "mode=755",
            "size=65536k"
          ]
        },
        {
          "destination": "/dev/pts",
          "type": "devpts",
          "source": "devpts",
          "options": [
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            "gid=5"
          ]
        },
        {
          "destination": "/dev/shm",
          "type": "tmpfs",
          "source": "shm",
          "options": [
            "nosuid",
            "noexec",
            "nodev",
            "mode=1777",
            "size=65536k"
          ]
        },
        {
          "destination": "/dev/mqueue",
          "type": "mqueue",
          "source": "mqueue",
          "options": [
            "nosuid",
            "noexec",
            "nodev"
          ]
        },
        {
          "destination": "/sys",
          "type": "sysfs",
          "source": "sysfs",
          "options": [
            "nosuid",
            "noexec",
            "nodev"
          ]
        },
        {
          "destination": "/sys/fs/cgroup",
          "type": "cgroup",
          "source": "cgroup",
          "options": [
            "nosuid",
            "noexec",
            "nodev",
            "relatime",
            "ro"
          ]
        }
      ],
      "hooks": {
        "prestart": [
          {
            "path": "/usr/bin/fix-mounts",
            "args": [
              "fix-mounts",
              "arg1",
              "arg2"
            ],
            "env": [
              "key1=value1"
            ]
          },
          {
            "path": "/usr/bin/setup-network"
          }
        ],
        "createRuntime": [
          {
            "path": "/usr/bin/fix-mounts",
            "args": [
              "fix-mounts",
              "arg1",
              "arg2"
            ],
            "env": [
              "key1=value1"
            ]
          },
          {
            "path": "/usr/bin/setup-network"
          }
        ],
        "createContainer": [
          {
            "path": "/usr/bin/mount-hook",
            "args": [
              "-mount",
              "arg1",
              "arg2"
            ],
            "env": [
              "key1=value1"
            ]
          }
        ],
        "startContainer": [
          {
            "path": "/usr/bin/refresh-ldcache"
          }
        ],
        "poststart": [
          {
            "path": "/usr/bin/notify-start",
            "timeout": 5
          }
        ],
        "poststop": [
          {
            "path": "/usr/sbin/cleanup.sh",
            "args": [
              "cleanup.sh",
              "-f"
            ]
          }
        ]
      },
      "linux": {
        "devices": [
          {
            "path": "/dev/fuse",
            "type": "c",
            "major": 10,
            "minor": 229,
            "fileMode": 438,
            "uid": 0,
            "gid": 0
          },
          {
            "path": "/dev/sda",
            "type": "b",
            "major": 8,
            "minor": 0,
            "fileMode": 432,
            "uid": 0,
            "gid": 0
          }
        ],
        "uidMappings": [
          {
            "containerID": 0,
            "hostID": 1000,
            "size": 32000
          }
        ],
        "gidMappings": [
          {
            "containerID": 0,
            "hostID": 1000,
            "size": 32000
          }
        ],
        "sysctl": {
          "net.ipv4.ip_forward": "1",
          "net.core.somaxconn": "256"
        },
        "cgroupsPath": "/myRuntime/myContainer",
        "resources": {
          "network": {
            "classID": 1048577,
            "priorities": [
              {
                "name": "eth0",
                "priority": 500
              },
              {
                "name": "eth1",
                "priority": 1000
              }
            ]
          },
          "pids": {
            "limit": 32771
          },
          "hugepageLimits": [
            {
              "pageSize": "2MB",
              "limit": 9223372036854772000
            },
            {
              "pageSize": "64KB",
              "limit": 1000000
            }
          ],
          "oomScoreAdj": 100,
          "memory": {
            "limit": 536870912,
            "reservation": 536870912,
            "swap": 536870912,
            "kernel": -1,
            "kernelTCP": -1,
            "swappiness": 0,
            "disableOOMKiller": false,
            "useHierarchy": false,
            "checkBeforeUpdate": false
          },
          "cpu": {
            "shares": 1024,
            "quota": 1000000,
            "burst": 1000000,
            "period": 500000,
            "realtimeRuntime": 950000,
            "realtimePeriod": 1000000,
            "cpus": "2-3",
            "mems": "0-7"
          },
          "devices": [
            {
              "allow": false,
              "access": "rwm"
            },
            {
              "allow": true,
              "type": "c",
              "major": 10,
              "minor": 229,
              "access": "rw"
            },
            {
              "allow": true,
              "type": "b",
              "major": 8,
              "minor": 0,
              "access": "r"
            }
          ],
          "blockIO": {
            "weight": 10,
            "leafWeight": 10,
            "weightDevice": [
              {
                "major": 8,
                "minor": 0,
                "weight": 500,
                "leafWeight": 300
              },
              {
                "major": 8,
                "minor": 16,
                "weight": 500
              }
            ],
            "throttleReadBpsDevice": [
              {
                "major": 8,
                "minor": 0,
                "rate": 600
              }
            ],
            "throttleWriteIOPSDevice": [
              {
                "major": 8,
                "minor": 16,
                "rate": 300
              }
            ]
          }
        },
        "rootfsPropagation": "slave",
        "seccomp": {
          "defaultAction": "SCMP_ACT_ALLOW",
          "architectures": [
            "SCMP_ARCH_X86",
            "SCMP_ARCH_X32"
          ],
          "syscalls": [
            {
              "names": [
                "getcwd",
                "chmod"
              ],
              "action": "SCMP_ACT_ERRNO"
            }
          ]
        },
        "timeOffsets": {
          "monotonic": {
            "secs": 172800,
            "nanosecs": 0
          },
          "boottime": {
            "secs": 604800,
            "nanosecs": 0
          }
        },
        "namespaces": [
          {
            "type": "pid"
          },
          {
            "type": "network"
          },
          {
            "type": "ipc"
          },
          {
            "type": "uts"
          },
          {
            "type": "mount"
          },
          {
            "type": "user"
          },
          {
            "type": "cgroup"
          },
          {
            "type": "time"
          }
        ],
        "maskedPaths": [
          "/proc/kcore",
          "/proc/latency_stats",
          "/proc/timer_stats",
          "/proc/sched_debug"
        ],
        "readonlyPaths": [
          "/proc/asound",
          "/proc/bus",
          "/proc/fs",
          "/proc/irq",
          "/proc/sys",
          "/proc/sysrq-trigger"
        ],
        "mountLabel": "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811"
      },
      "annotations": {
        "com.example.key1": "value1",
        "com.example.key2": "value2"
      }
    }
    """
}
