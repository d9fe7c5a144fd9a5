#!/usr/bin/python
"""Has its work done by other processes, in whatever way this Python makes them."""
import multiprocessing

from ansible.module_utils.basic import AnsibleModule


def double(number):
    return 2 * number


def main():
    module = AnsibleModule(argument_spec=dict(numbers=dict(type='list', required=True)))
    pool = multiprocessing.Pool(2)
    try:
        result = pool.map_async(double, [int(n) for n in module.params['numbers']]).get(30)
    finally:
        pool.terminate()
        pool.join()
    module.exit_json(result=result)


if __name__ == '__main__':
    main()
