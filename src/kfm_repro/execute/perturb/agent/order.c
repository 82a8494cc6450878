/* The order of names: by bytes, backwards, or by a hash of seed and name. It depends on the names alone, never on the
 * order in which the file system gave them. */
#include "kfm.h"

static bool dots(const char *name) {
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

int kfm_compare_names(const char *a, const char *b) {
    bool a_dots = dots(a), b_dots = dots(b);
    if (a_dots != b_dots) {
        return a_dots ? -1 : 1; /* . and .. stay first: some programs skip two */
    }
    int by_bytes = strcmp(a, b);
    if (a_dots || kfm_setting.order == KFM_ORDER_SORTED || kfm_setting.order == KFM_ORDER_NATURAL) {
        return by_bytes;
    }
    if (kfm_setting.order == KFM_ORDER_SHUFFLED) {
        uint64_t first = kfm_hash(a, strlen(a), kfm_setting.order_seed);
        uint64_t second = kfm_hash(b, strlen(b), kfm_setting.order_seed);
        if (first != second) {
            return first < second ? -1 : 1;
        }
    }
    return -by_bytes;
}
