// SPDX-License-Identifier: Apache-2.0
//
// Commands and files that attach a volume. Names of volumes are letters, digits and "._-", so that none needs quoting.
import type { Endpoint } from './endpoint';

export type Method = 'kernel' | 'nbdfuse' | 'qemu' | 'libvirt';
export type Part = 'attach' | 'detach' | 'unit' | 'fstab' | 'mount' | 'options' | 'xml' | 'hostSettings';
export type Recipe = { part: Part; file?: string; text: string };
export type Target = { endpoint: Endpoint; device: string; mountPoint: string; certificates: string };

const bracket = (host: string) => (host.includes(':') ? `[${host}]` : host);
const lines = (...each: (string | false)[]) => each.filter((line): line is string => line !== false).join('\n');

function nbdUri({ endpoint }: Target): string {
  if (endpoint.kind === 'unix') return `nbd+unix:///${endpoint.name}?socket=${endpoint.socket}`;
  const at = `${bracket(endpoint.host)}:${endpoint.port}/${endpoint.name}`;
  return `${endpoint.kind === 'tls' ? 'nbds' : 'nbd'}://${at}`;
}

// As QEMU takes them; a comma in a value is doubled.
function qemuServer(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `server.type=unix,server.path=${endpoint.socket.replaceAll(',', ',,')}`;
  return `server.type=inet,server.host=${endpoint.host},server.port=${endpoint.port}`;
}
const qemuTls = (id: string, { certificates }: Target) => `tls-creds-x509,id=${id},endpoint=client,dir=${certificates}`;

function qemuNbd(target: Target, ...more: string[]): string {
  const { endpoint, device } = target;
  const isTls = endpoint.kind === 'tls';
  return [
    `/usr/bin/qemu-nbd --fork --connect=${device}`,
    ...more,
    '--discard=unmap',
    ...(isTls ? [`--object ${qemuTls('hindsight', target)}`] : []),
    `--image-opts driver=nbd,${qemuServer(endpoint)},export=${endpoint.name},reconnect-delay=60${isTls ? ',tls-creds=hindsight' : ''}`,
  ].join(' \\\n  ');
}

function nbdClient({ endpoint, device }: Target): string {
  const where = endpoint.kind === 'unix' ? `-unix ${endpoint.socket}` : `${endpoint.host} ${endpoint.port}`;
  return `/usr/sbin/nbd-client ${where} ${device} -N ${endpoint.name} -b 4096 -persist`;
}

function unit(target: Target): string {
  const { endpoint, device } = target;
  const isTls = endpoint.kind === 'tls';
  return lines(
    '[Unit]',
    `Description=Hindsight volume ${endpoint.name} at ${device}`,
    endpoint.kind !== 'unix' && 'Wants=network-online.target',
    endpoint.kind === 'unix' ? 'After=hindsightd.service' : 'After=network-online.target',
    'Before=remote-fs-pre.target',
    '',
    '[Service]',
    isTls ? 'Type=forking' : 'Type=oneshot',
    !isTls && 'RemainAfterExit=yes',
    'ExecStartPre=/sbin/modprobe nbd',
    `ExecStart=${isTls ? qemuNbd(target) : nbdClient(target)}`,
    `ExecStop=${isTls ? `/usr/bin/qemu-nbd --disconnect ${device}` : `/usr/sbin/nbd-client -d ${device}`}`,
    '',
    '[Install]',
    'WantedBy=remote-fs.target',
  );
}

function kernel(target: Target): Recipe[] {
  const { endpoint, device, mountPoint } = target;
  const isTls = endpoint.kind === 'tls';
  const service = `hindsight-${endpoint.name}.service`;
  return [
    { part: 'attach', text: `sudo modprobe nbd\nsudo ${isTls ? qemuNbd(target) : nbdClient(target)}` },
    { part: 'mount', text: `sudo mkfs.ext4 ${device}     # the first time only: it empties the volume\nsudo mkdir -p ${mountPoint}\nsudo mount ${device} ${mountPoint}` },
    { part: 'detach', text: `sudo umount ${mountPoint}\nsudo ${isTls ? `qemu-nbd --disconnect ${device}` : `nbd-client -d ${device}`}` },
    { part: 'unit', file: `/etc/systemd/system/${service}`, text: unit(target) },
    { part: 'fstab', file: '/etc/fstab', text: `${device} ${mountPoint} ext4 _netdev,nofail,x-systemd.requires=${service} 0 2` },
  ];
}

function nbdfuse(target: Target): Recipe[] {
  const { endpoint, mountPoint } = target;
  const place = `/run/hindsight/${endpoint.name}`;
  return [
    {
      part: 'attach',
      text: lines(
        `sudo mkdir -p ${place}`,
        endpoint.kind === 'tls' && `sudo mkdir -p /etc/pki && sudo ln -sfn ${target.certificates} /etc/pki/libnbd     # where nbdfuse looks for them`,
        `sudo nbdfuse ${place}/disk '${nbdUri(target)}' &`,
        `until sudo test -e ${place}/disk; do sleep 0.1; done`,
        `sudo losetup --find --show ${place}/disk     # prints the disk's name`,
      ),
    },
    {
      part: 'detach',
      text: lines(`sudo umount ${mountPoint}`, `sudo losetup --detach "$(losetup --noheadings --output NAME --associated ${place}/disk)"`, `sudo umount ${place}`),
    },
  ];
}

function qemu(target: Target): Recipe[] {
  const { endpoint } = target;
  const isTls = endpoint.kind === 'tls';
  const node = `hindsight-${endpoint.name}`;
  return [
    {
      part: 'options',
      text: [
        ...(isTls ? [`-object ${qemuTls('hindsight-tls', target)}`] : []),
        `-blockdev driver=nbd,node-name=${node},${qemuServer(endpoint)},export=${endpoint.name},reconnect-delay=60,discard=unmap${isTls ? ',tls-creds=hindsight-tls' : ''}`,
        `-device virtio-blk-pci,drive=${node}`,
      ].join(' \\\n'),
    },
  ];
}

function libvirt(target: Target): Recipe[] {
  const { endpoint, certificates } = target;
  const isTls = endpoint.kind === 'tls';
  const host =
    endpoint.kind === 'unix'
      ? `    <host transport='unix' socket='${endpoint.socket}'/>`
      : `    <host name='${endpoint.host}' port='${endpoint.port}'/>`;
  return [
    ...(isTls
      ? [{ part: 'hostSettings' as const, file: '/etc/libvirt/qemu.conf', text: `nbd_tls = 1\nnbd_tls_x509_cert_dir = "${certificates}"` }]
      : []),
    {
      part: 'xml',
      text: lines(
        "<disk type='network' device='disk'>",
        "  <driver name='qemu' type='raw' cache='none' discard='unmap'/>",
        `  <source protocol='nbd' name='${endpoint.name}'${isTls ? " tls='yes'" : ''}>`,
        host,
        '  </source>',
        "  <target dev='vdb' bus='virtio'/>",
        '</disk>',
      ),
    },
  ];
}

const kMethods: Record<Method, (target: Target) => Recipe[]> = { kernel, nbdfuse, qemu, libvirt };

export function recipes(method: Method, target: Target): Recipe[] {
  return kMethods[method](target);
}

// On the appliance and once: a certificate for the host, and what it may have by it.
export function certificateSteps(client: string, volume: string): string {
  return lines(
    `sudo hindsight tls client ${client}`,
    `sudo scp -r /var/lib/hindsight/tls/clients/${client} root@${client}:/etc/hindsight-tls`,
    `# and in /etc/hindsight/hindsight.toml.d/network.toml, below [nbd]: clients = ["${client} live ${volume}"], then`,
    'sudo systemctl reload hindsightd',
  );
}
