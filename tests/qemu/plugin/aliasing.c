// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * Finds memory that is used through the caches and past them. QEMU has no caches and shows no fault.
 *
 * For each 64-byte line of RAM it keeps what a cache would know: whether the line is held, whether
 * it is dirty, and whether memory was written past it since. One cache stands for those of all
 * CPUs, which are coherent; it never evicts and never fetches on its own. From there each access
 * and each maintenance instruction is right or one of the six faults below.
 *
 * An access goes through the caches when SCTLR.M and SCTLR.C of its regime are set: SCTLR_EL2 for
 * EL2's own code, which is known by its physical addresses, SCTLR_EL1 for all else. Attributes of
 * translation tables are not looked at: whoever has the MMU on is taken to map RAM as Normal
 * cacheable.
 *
 *   el2=FROM-TO            physical addresses of EL2's image; all numbers are hexadecimal
 *   window=VA:PA:PAGES     EL2's windows on other memory, and where their level-3 descriptors are
 *   map=CPU:IPA:PA:BYTES   memory of the guest on that CPU, for its addresses while its MMU is off
 *   out=PATH               the result: a line "NAME COUNT" for each fault, behind its first places
 *
 * Debian does not package QEMU's header; what is used of it stands below (plugin API, version 4).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- QEMU and GLib ---- */

struct tb;
struct insn;
struct hwaddr;
struct info;
typedef struct { char *data; unsigned len; } GArray;
typedef struct { uint8_t *data; unsigned len; } GByteArray;
struct register_of { void *handle; const char *name, *feature; };
enum { NO_REGISTERS = 0, READS_REGISTERS = 1, READS_AND_WRITES = 3 };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*call)(uint64_t, struct tb *));
void qemu_plugin_register_vcpu_init_cb(uint64_t id, void (*call)(uint64_t, unsigned));
void qemu_plugin_register_atexit_cb(uint64_t id, void (*call)(uint64_t, void *), void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct insn *, void (*call)(unsigned, void *), int flags,
                                            void *data);
void qemu_plugin_register_vcpu_mem_cb(struct insn *,
                                      void (*call)(unsigned, uint32_t, uint64_t, void *), int flags,
                                      int accesses, void *data);
size_t qemu_plugin_tb_n_insns(const struct tb *);
struct insn *qemu_plugin_tb_get_insn(const struct tb *, size_t);
size_t qemu_plugin_insn_data(const struct insn *, void *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct insn *);
void *qemu_plugin_insn_haddr(const struct insn *);
bool qemu_plugin_mem_is_store(uint32_t);
struct hwaddr *qemu_plugin_get_hwaddr(uint32_t, uint64_t);
bool qemu_plugin_hwaddr_is_io(const struct hwaddr *);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct hwaddr *);
GArray *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(void *, GByteArray *);
GByteArray *g_byte_array_new(void);
GByteArray *g_byte_array_set_size(GByteArray *, unsigned);

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = 4;

/* ---- What is counted ---- */

enum fault {
    READ_PAST_DIRTY,
    WRITE_PAST_DIRTY,
    READ_STALE,
    WRITE_STALE,
    WRITE_BACK_STALE,
    WRITE_PAST_CLEAN,
    FAULTS
};

static const char *const NAMES[FAULTS] = {
    [READ_PAST_DIRTY] = "read-past-dirty",   /* old data is read */
    [WRITE_PAST_DIRTY] = "write-past-dirty", /* a write-back will undo it */
    [READ_STALE] = "read-stale",             /* old data is read */
    [WRITE_STALE] = "write-stale",           /* into a line with old data around it */
    [WRITE_BACK_STALE] = "write-back-stale", /* newer data in memory is lost */
    [WRITE_PAST_CLEAN] = "write-past-clean", /* stale until somebody invalidates it */
};

static uint64_t counts[FAULTS];
static FILE *out;
enum { SHOWN = 4 };

static void count(enum fault fault, unsigned cpu, uint64_t pc, uint64_t pa)
{
    if (counts[fault]++ < SHOWN)
        fprintf(out, "# %s: cpu %u, pc %#" PRIx64 ", line %#" PRIx64 "\n", NAMES[fault], cpu, pc,
                pa & ~UINT64_C(63));
}

/* ---- Lines ---- */

enum { HELD = 1, DIRTY = 2, STALE = 4 };
enum { RAM = 0x40000000, LINE = 64, LINES = 1 << 24 };
static uint8_t *lines;

static uint8_t *line_of(uint64_t pa)
{
    uint64_t index = (pa - RAM) / LINE;
    return pa >= RAM && index < LINES ? lines + index : NULL;
}

static void through(unsigned cpu, uint64_t pc, uint64_t pa, bool store)
{
    uint8_t *line = line_of(pa);
    if (!line)
        return;
    if (*line & STALE) {
        count(store ? WRITE_STALE : READ_STALE, cpu, pc, pa);
        *line &= ~STALE;
    }
    *line |= store ? HELD | DIRTY : HELD;
}

static void past(unsigned cpu, uint64_t pc, uint64_t pa, bool store)
{
    uint8_t *line = line_of(pa);
    if (!line || *line & STALE || !(*line & HELD))
        return;
    if (store) {
        count(*line & DIRTY ? WRITE_PAST_DIRTY : WRITE_PAST_CLEAN, cpu, pc, pa);
        *line |= STALE;
    } else if (*line & DIRTY) {
        count(READ_PAST_DIRTY, cpu, pc, pa);
    }
}

static void maintain(unsigned cpu, uint64_t pc, uint64_t pa, bool cleans, bool invalidates)
{
    uint8_t *line = line_of(pa);
    if (!line)
        return;
    if (cleans && (*line & DIRTY)) {
        if (*line & STALE)
            count(WRITE_BACK_STALE, cpu, pc, pa);
        *line &= ~(DIRTY | STALE);
    }
    if (invalidates)
        *line = 0;
}

/* ---- CPUs and addresses ---- */

enum { CPUS = 8, MAPS = 64, PAGE = 4096, SEEN = 1 << 16 };
static uint64_t el2_from, el2_to;
static uint64_t window, window_entries, window_pages;
static struct { unsigned cpu; uint64_t ipa, pa, bytes; } maps[MAPS];
static unsigned map_count;
static char *ram_on_host;

static struct {
    GByteArray *value;
    bool el1_cached, el2_cached;
    /* Pages that EL1 accessed, by virtual address: maintenance names a virtual address, too. */
    struct { uint64_t va, pa; } seen[SEEN];
} cpus[CPUS];
static void *registers[31];

struct info { uint64_t pc; uint32_t word; bool el2; };

static uint64_t read_register(unsigned cpu, unsigned number)
{
    uint64_t value = 0;
    if (number < 31) {
        g_byte_array_set_size(cpus[cpu].value, 0);
        qemu_plugin_read_register(registers[number], cpus[cpu].value);
        memcpy(&value, cpus[cpu].value->data, sizeof value);
    }
    return value;
}

/* Where EL2's windows lead to now, by their descriptors. */
static uint64_t through_window(uint64_t va)
{
    uint64_t page = (va - window) / PAGE, descriptor;
    if (va < window || page >= window_pages)
        return va;
    memcpy(&descriptor, ram_on_host + (window_entries - RAM) + 8 * page, sizeof descriptor);
    return (descriptor & UINT64_C(0xfffffffff000)) + va % PAGE;
}

/* Windows apart, EL2 maps RAM at its own address. False: EL1 maintains a page that it never accessed. */
static bool physical(unsigned cpu, const struct info *info, uint64_t va, uint64_t *pa)
{
    *pa = info->el2 ? through_window(va) : va;
    if (info->el2)
        return true;
    if (cpus[cpu].el1_cached) {
        uint64_t page = va / PAGE;
        if (cpus[cpu].seen[page % SEEN].va != page)
            return false;
        *pa = cpus[cpu].seen[page % SEEN].pa * PAGE + va % PAGE;
        return true;
    }
    for (unsigned n = 0; n < map_count; n++) {
        if (maps[n].cpu == cpu && va - maps[n].ipa < maps[n].bytes) {
            *pa = va - maps[n].ipa + maps[n].pa;
            return true;
        }
    }
    return false;
}

static bool is_cached(unsigned cpu, const struct info *info)
{
    return info->el2 ? cpus[cpu].el2_cached : cpus[cpu].el1_cached;
}

/* ---- Instructions ---- */

enum {
    MSR_SCTLR_EL1 = 0xd5181000,
    MSR_SCTLR_EL2 = 0xd51c1000,
    DC_ZVA = 0xd50b7420,
    DC_IVAC = 0xd5087620,
    DC_CVAC = 0xd50b7a20,
    DC_CIVAC = 0xd50b7e20,
    REGISTER = 31
};

static bool is_watched(uint32_t word)
{
    switch (word & ~(uint32_t)REGISTER) {
    case (uint32_t)MSR_SCTLR_EL1: case (uint32_t)MSR_SCTLR_EL2:
    case (uint32_t)DC_ZVA: case (uint32_t)DC_IVAC: case (uint32_t)DC_CVAC: case (uint32_t)DC_CIVAC:
        return true;
    default:
        return false;
    }
}

static void executed(unsigned cpu, void *data)
{
    const struct info *info = data;
    uint64_t value = read_register(cpu, info->word & REGISTER), pa;
    uint32_t kind = info->word & ~(uint32_t)REGISTER;
    if (kind == (uint32_t)MSR_SCTLR_EL1) {
        cpus[cpu].el1_cached = (value & 5) == 5;
    } else if (kind == (uint32_t)MSR_SCTLR_EL2) {
        cpus[cpu].el2_cached = (value & 5) == 5;
    } else if (physical(cpu, info, value, &pa)) {
        if (kind == (uint32_t)DC_ZVA && is_cached(cpu, info))
            through(cpu, info->pc, pa, true);
        else if (kind == (uint32_t)DC_CVAC)
            maintain(cpu, info->pc, pa, true, false);
        else if (kind == (uint32_t)DC_CIVAC)
            maintain(cpu, info->pc, pa, true, true);
        else if (kind == (uint32_t)DC_IVAC) /* under stage 2 it cleans, too */
            maintain(cpu, info->pc, pa, !info->el2, true);
    }
}

static void accessed(unsigned cpu, uint32_t how, uint64_t va, void *data)
{
    const struct info *info = data;
    struct hwaddr *at = qemu_plugin_get_hwaddr(how, va);
    if (!at || qemu_plugin_hwaddr_is_io(at))
        return;
    uint64_t pa = qemu_plugin_hwaddr_phys_addr(at), page = va / PAGE;
    bool store = qemu_plugin_mem_is_store(how);
    if (!info->el2) {
        cpus[cpu].seen[page % SEEN].va = page;
        cpus[cpu].seen[page % SEEN].pa = pa / PAGE;
    }
    if (is_cached(cpu, info))
        through(cpu, info->pc, pa, store);
    else
        past(cpu, info->pc, pa, store);
}

static void translated(uint64_t id, struct tb *tb)
{
    (void)id;
    for (size_t n = 0; n < qemu_plugin_tb_n_insns(tb); n++) {
        struct insn *insn = qemu_plugin_tb_get_insn(tb, n);
        char *host = qemu_plugin_insn_haddr(insn);
        struct info *info = malloc(sizeof *info);
        info->pc = qemu_plugin_insn_vaddr(insn);
        qemu_plugin_insn_data(insn, &info->word, sizeof info->word);
        /* What runs first runs in RAM with the MMU off. */
        if (!ram_on_host && info->pc >= RAM)
            ram_on_host = host - (info->pc - RAM);
        uint64_t pa = (uint64_t)(host - ram_on_host) + RAM;
        info->el2 = ram_on_host && pa >= el2_from && pa < el2_to;
        if (is_watched(info->word))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, READS_REGISTERS, info);
        qemu_plugin_register_vcpu_mem_cb(insn, accessed, NO_REGISTERS, READS_AND_WRITES, info);
    }
}

/* ---- Begin and end ---- */

static void begun(uint64_t id, unsigned cpu)
{
    (void)id;
    if (cpu >= CPUS)
        abort();
    cpus[cpu].value = g_byte_array_new();
    GArray *found = qemu_plugin_get_registers();
    const struct register_of *one = (const struct register_of *)found->data;
    for (unsigned n = 0; n < found->len; n++) {
        unsigned number;
        char more;
        if (one[n].name && sscanf(one[n].name, "x%u%c", &number, &more) == 1 && number < 31)
            registers[number] = one[n].handle;
    }
}

static void ended(uint64_t id, void *data)
{
    (void)id;
    (void)data;
    for (int n = 0; n < FAULTS; n++)
        fprintf(out, "%s %" PRIu64 "\n", NAMES[n], counts[n]);
    fclose(out);
}

static bool understood(const char *argument)
{
    if (sscanf(argument, "el2=%" SCNx64 "-%" SCNx64, &el2_from, &el2_to) == 2)
        return true;
    if (sscanf(argument, "window=%" SCNx64 ":%" SCNx64 ":%" SCNx64, &window, &window_entries,
               &window_pages) == 3)
        return true;
    if (strncmp(argument, "out=", 4) == 0)
        return (out = fopen(argument + 4, "w")) != NULL;
    return map_count < MAPS
        && sscanf(argument, "map=%x:%" SCNx64 ":%" SCNx64 ":%" SCNx64, &maps[map_count].cpu,
                  &maps[map_count].ipa, &maps[map_count].pa, &maps[map_count].bytes) == 4
        && ++map_count;
}

EXPORTED int qemu_plugin_install(uint64_t id, const void *machine, int count, char **arguments)
{
    (void)machine;
    lines = calloc(LINES, 1);
    for (int n = 0; n < count; n++) {
        if (!understood(arguments[n])) {
            fprintf(stderr, "aliasing: what is %s?\n", arguments[n]);
            return 1;
        }
    }
    if (!lines || !out || !el2_to)
        return 1;
    qemu_plugin_register_vcpu_init_cb(id, begun);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
